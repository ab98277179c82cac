package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"gitlab.com/review-executor/review-executor/apache"
	"gitlab.com/review-executor/review-executor/review"
)

// front measures what the gate costs a visitor, and what apps cost Apache.
func (b *bench) front() []figure {
	figures := b.gate()
	if b.err != nil {
		return nil
	}
	return append(figures, b.crowds()...)
}

// entrance is one virtual host of an app, and the line by which its visitors are known.
type entrance struct{ host, header string }

// gate compares ways into the same app, at the same Apache.
// A browser sends the password beside the ticket; what keeps no cookies, such as
// curl, sends the password alone.
func (b *bench) gate() []figure {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("An asset.\n", 200)) }))
	defer app.Close()
	backend := app.Listener.Addr().String()
	costly := filepath.Join(b.host.Dir, "htpasswd-10")
	b.failed(exec.Command("htpasswd", "-bcBC", "10", costly, "demo", "demo").Run())

	const password = "Authorization: Basic ZGVtbzpkZW1v\r\n"
	open := entrance{host: b.enter("open", backend, func(c *apache.Config) { c.Login = apache.LoginNone })}
	usual := entrance{b.enter("usual", backend, func(*apache.Config) {}), password}
	hard := entrance{b.enter("hard", backend, func(c *apache.Config) { c.Htpasswd = costly }), password}
	if b.err != nil {
		return nil
	}
	browser := usual
	ticket, err := ticketOf(b.address(), usual)
	b.failed(err)
	browser.header += "Cookie: " + ticket + "\r\n"

	withTicket := b.compare(open, browser, 40)
	withPassword := b.compare(open, usual, 9)
	withHardPassword := b.compare(open, hard, 5)
	return []figure{
		{Name: "front.auth_ratio", Value: withTicket, Unit: "ratio", Goal: 0.9, AtLeast: true},
		{Name: "front.password_ratio", Value: withPassword, Unit: "ratio", NoGoal: true},
		{Name: "front.password_cost_10_ratio", Value: withHardPassword, Unit: "ratio", NoGoal: true},
	}
}

// compare is the throughput of one entrance over that of the other. They take turns, in
// an order that turns too, so that what else the machine does meets both.
func (b *bench) compare(base, other entrance, rounds int) float64 {
	var rates, ratios []float64
	for round := range rounds {
		var rate, than float64
		if round%2 == 0 {
			than, rate = b.throughput(base), b.throughput(other)
		} else {
			rate, than = b.throughput(other), b.throughput(base)
		}
		rates, ratios = append(rates, rate), append(ratios, rate/than)
	}
	fmt.Fprintf(os.Stderr, "%s: %.0f requests a second\n", other.host, median(rates))
	return median(ratios)
}

func (b *bench) address() string { return "127.0.0.1:" + b.host.Port }

// enter publishes the app once more, by a front of its own beside the others, and
// returns the name of its host.
func (b *bench) enter(name, backend string, change func(*apache.Config)) string {
	cfg := apache.Defaults()
	cfg.VhostDir = filepath.Join(b.host.Dir, "vhosts-"+name)
	cfg.Listen = b.address()
	cfg.Htpasswd = filepath.Join(b.host.Dir, "htpasswd")
	cfg.AccessLog = filepath.Join(b.host.Dir, "access.log")
	cfg.Configtest = []string{filepath.Join(b.host.Dir, "apache.sh"), "-t"}
	cfg.Reload = apache.Reload{Command: []string{filepath.Join(b.host.Dir, "apache-reload")}}
	change(&cfg)
	extra, err := os.OpenFile(filepath.Join(b.host.Dir, "extra.conf"), os.O_APPEND|os.O_WRONLY, 0o644)
	if b.failed(err) {
		return ""
	}
	defer extra.Close()
	_, err = fmt.Fprintf(extra, "IncludeOptional %s/*.conf\n", cfg.VhostDir)
	b.failed(err)
	domain := name + ".localhost"
	front := apache.New(cfg, domain, filepath.Join(b.host.Dir, "state", "sites"), nil)
	site := review.Site{Name: "app", Host: "app." + domain, Release: "r1", Backend: backend}
	_, err = front.Apply(context.Background(), []review.Site{site}, nil)
	if !b.failed(err) {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		b.failed(front.Serves(ctx, site))
	}
	return site.Host
}
