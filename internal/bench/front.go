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

// gate compares four ways into the same app, at the same Apache, which take turns.
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

	rates := map[entrance][]float64{}
	ratios := map[entrance][]float64{}
	for range 9 {
		base := b.throughput(open)
		rates[open] = append(rates[open], base)
		for _, e := range []entrance{browser, usual, hard} {
			rate := b.throughput(e)
			rates[e], ratios[e] = append(rates[e], rate), append(ratios[e], rate/base)
		}
	}
	fmt.Fprintf(os.Stderr, "requests a second: without a gate %.0f, with a ticket %.0f, with a password of cost 5 %.0f, of cost 10 %.0f\n",
		median(rates[open]), median(rates[browser]), median(rates[usual]), median(rates[hard]))
	return []figure{
		{Name: "front.auth_ratio", Value: median(ratios[browser]), Unit: "ratio", Goal: 0.9, AtLeast: true},
		{Name: "front.password_ratio", Value: median(ratios[usual]), Unit: "ratio", NoGoal: true},
		{Name: "front.password_cost_10_ratio", Value: median(ratios[hard]), Unit: "ratio", NoGoal: true},
	}
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
