package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sync/errgroup"
)

// crowds measures a host with more and more apps.
func (b *bench) crowds() []figure {
	var figures []figure
	reload := func(apps int, goal float64) {
		figures = append(figures, figure{Name: fmt.Sprintf("front.reload_%d_ms", apps), Value: b.reloadWith(apps), Unit: "ms", Goal: goal})
	}
	reload(10, 1000)
	few := b.apacheMB()
	reload(100, 1000)
	figures = append(figures, figure{Name: "front.reloads_for_50", Value: b.reloadsFor(50), Unit: "reloads", Goal: 10})
	reload(1000, 2000)
	many := b.apacheMB()
	fmt.Fprintf(os.Stderr, "Apache has %.0f MB with 10 apps and %.0f MB with 1,000\n", few, many)
	figures = append(figures, figure{Name: "front.apache_mb_per_1000", Value: (many - few) * 1000 / 990, Unit: "MB", Goal: 200})
	reload(5000, 10000)
	return figures
}

// reloadWith is the time from the front called, with one app of so many changed, to
// Apache answering with its new release.
func (b *bench) reloadWith(apps int) float64 {
	b.record(apps)
	b.failed(b.command("front")())
	time.Sleep(3 * time.Second) // for Apache's old processes to end
	released := 0
	return b.medianOf(5, func() {
		released++
		b.failed(b.release(0, fmt.Sprintf("new-%d-%d", apps, released)))
	}, func() error {
		if err := b.command("front")(); err != nil {
			return err
		}
		return b.serves(0, fmt.Sprintf("new-%d-%d", apps, released))
	})
}

// medianOf is median, with something before each run that does not count.
func (b *bench) medianOf(n int, before func(), f func() error) float64 {
	var times []float64
	for range n {
		before()
		times = append(times, b.median(1, f))
		time.Sleep(time.Second)
	}
	return median(times)
}

// serves waits until Apache answers for the app with that release.
func (b *bench) serves(app int, release string) error {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	req, err := http.NewRequest(http.MethodHead, "http://"+b.address()+"/", nil)
	if err != nil {
		return err
	}
	req.Host = fmt.Sprintf("app-%d.review.localhost", app)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.Header.Get("X-Review-Release") == release {
			return nil
		}
	}
	return fmt.Errorf("%s of %s is never served", release, req.Host)
}

// reloadsFor saves the records of n new apps at once, each followed by a front of its
// own, and counts how often Apache is reloaded. When a front returns, its app
// must be served.
func (b *bench) reloadsFor(n int) float64 {
	counted := filepath.Join(b.host.Dir, "reloads")
	script := fmt.Sprintf("echo >>%s; exec %s/apache-reload", counted, b.host.Dir)
	config, err := os.ReadFile(b.host.Config())
	b.failed(err)
	config = bytes.Replace(config, fmt.Appendf(nil, "%q", b.host.Dir+"/apache-reload"), fmt.Appendf(nil, `"sh", "-c", %q`, script), 1)
	file := filepath.Join(b.host.Dir, "counting.toml")
	b.failed(os.WriteFile(file, config, 0o600))
	var group errgroup.Group
	for i := range n {
		app := 100000 + i
		group.Go(func() error {
			if err := b.release(app, "r1"); err != nil {
				return err
			}
			if out, err := exec.Command(b.program, "--config", file, "front").CombinedOutput(); err != nil {
				return fmt.Errorf("front: %w\n%s", err, out)
			}
			return b.serves(app, "r1")
		})
	}
	b.failed(group.Wait())
	reloads, err := os.ReadFile(counted)
	b.failed(err)
	for i := range n {
		b.failed(os.Remove(filepath.Join(b.host.Dir, "state", "apps", fmt.Sprintf("app-%d.json", 100000+i))))
	}
	return float64(len(reloads))
}

// apacheMB is the memory of all processes of the host's Apache. What they share
// counts once.
func (b *bench) apacheMB() float64 {
	time.Sleep(3 * time.Second) // for the old ones to end
	data, err := os.ReadFile(filepath.Join(b.host.Dir, "apache", "pid"))
	b.failed(err)
	parent, err := strconv.Atoi(strings.TrimSpace(string(data)))
	b.failed(err)
	processes, err := procfs.AllProcs()
	b.failed(err)
	var bytes uint64
	for _, process := range processes {
		stat, err := process.Stat()
		if err != nil || (process.PID != parent && stat.PPID != parent) {
			continue // it may have ended
		}
		memory, err := process.ProcSMapsRollup()
		if !b.failed(err) {
			bytes += memory.Pss
		}
	}
	return float64(bytes) / (1 << 20)
}
