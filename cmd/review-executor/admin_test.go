package main

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// talkative is a web project that says when it starts, and ends when it is told to.
func talkative(text string) map[string]string {
	return map[string]string{"Containerfile": "FROM " + busybox + "\nRUN mkdir /site && echo " + text + " >/site/index.html\nEXPOSE 8080\nSTOPSIGNAL SIGKILL\n" +
		`CMD ["sh", "-c", "rm -f /end; echo ` + text + ` is up; printf 'a \\033]0;title\\007 trouble\\n' >&2; httpd -p 8080 -h /site; while [ ! -e /end ]; do sleep 0.1; done"]` + "\n"}
}

// following is "logs --follow", as it runs.
type following struct {
	t              *testing.T
	cmd            *exec.Cmd
	stdout, stderr chan string // by line
}

func follow(t *testing.T, args ...string) following {
	t.Helper()
	f := following{t, exec.Command(program, append([]string{"--config", host.Config(), "logs", "--follow"}, args...)...), make(chan string, 99), make(chan string, 99)}
	for to, pipe := range map[chan string]func() (io.ReadCloser, error){f.stdout: f.cmd.StdoutPipe, f.stderr: f.cmd.StderrPipe} {
		from, err := pipe()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			defer close(to)
			for lines := bufio.NewScanner(from); lines.Scan(); {
				to <- lines.Text()
			}
		}()
	}
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.cmd.Process.Kill() })
	return f
}

// next is the next line.
func (f following) next(from chan string, want string) {
	f.t.Helper()
	select {
	case got, more := <-from:
		if got != want || !more {
			f.t.Fatalf("%q, want %q", got, want)
		}
	case <-time.After(time.Minute):
		f.t.Fatalf("no %q", want)
	}
}

// ends asserts that it ends with 0 and has nothing more to say.
func (f following) ends() {
	f.t.Helper()
	for _, from := range []chan string{f.stdout, f.stderr} {
		for line := range from {
			f.t.Errorf("it also says %q", line)
		}
	}
	if err := f.cmd.Wait(); err != nil {
		f.t.Error(err)
	}
}

func TestAdmin_LogsAreFollowedAndUsageIsCounted(t *testing.T) {
	p := newProject(t, talkative("first"))
	forgetUsage := func() { os.RemoveAll(filepath.Join(host.Dir, "state", "usage")) } // that of other tests
	forgetUsage()
	t.Cleanup(forgetUsage)
	p.try("main", "--variable", "REVIEW_ENV_TOKEN=hidden").succeeded(t)
	runProgram(t, "sync").succeeded(t)
	all, one := follow(t, "main"), follow(t, "main", "-n", "0")
	const trouble = "a \x1b]0;title\x07 trouble" // no terminal: as it was written
	all.next(all.stdout, "first is up")
	all.next(all.stderr, trouble)

	host.Podman(t, "exec", "--detach", names(t, "app")[0], "touch", "/end") // and Podman starts it again
	all.next(all.stdout, "first is up")
	all.next(all.stderr, trouble)
	one.next(one.stdout, "first is up")
	one.next(one.stderr, trouble)
	if err := one.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	one.ends()
	shown := runProgram(t, "show", "main").succeeded(t).says(t, "container    running for", ", started again once", "variables    TOKEN", "previous     none")
	if strings.Contains(shown.stdout, "hidden") {
		t.Errorf("a secret is shown:\n%s", shown.stdout)
	}
	runProgram(t, "logs", "main", "--timestamps", "--lines", "-1").succeeded(t).says(t, "Z first is up\n", "Z "+trouble+"\n")
	runProgram(t, "logs", "main", "--since", "1h").succeeded(t).says(t, "first is up\n")

	p.commit(talkative("second"))
	p.try("main").succeeded(t)
	all.next(all.stderr, "--- review app main is now version "+p.git("rev-parse", "HEAD")[:7])
	all.next(all.stdout, "second is up")
	all.next(all.stderr, trouble)
	runProgram(t, "show", "main").succeeded(t).says(t, "\"review-executor rollback main\" brings it back")
	usesProcessors(t)

	runProgram(t, "stop", "main").succeeded(t)
	all.next(all.stderr, "--- review app main was stopped: the administrator has stopped it")
	all.ends()
}

// usesProcessors asserts that sync counts what the apps use.
func usesProcessors(t *testing.T) {
	t.Helper()
	if out := runProgram(t, "sync").succeeded(t).stdout; strings.Contains(out, "WARNING") {
		t.Errorf("sync says:\n%s", out)
	}
	var used []projectUsage
	if err := json.Unmarshal([]byte(runProgram(t, "usage", "--output", "json", "--project", "local/*").succeeded(t).stdout), &used); err != nil {
		t.Fatal(err)
	}
	if len(used) != 1 || used[0].CPUHours <= 0 || used[0].MemoryHours <= 0 || used[0].AppHours <= 0 || used[0].Project != "local/shop" {
		t.Errorf("usage is %+v", used)
	}
}

// onTerminal runs the program on a terminal where somebody types an answer.
func onTerminal(t *testing.T, answer string, args string) string {
	t.Helper()
	cmd := exec.Command("script", "-qec", program+" --config "+host.Config()+" "+args, "/dev/null")
	cmd.Stdin = strings.NewReader(answer)
	out, _ := cmd.CombinedOutput() // a no is a failure
	return string(out)
}

func TestAdmin_StopOfAPatternAndOfAProject(t *testing.T) {
	p := newProject(t, map[string]string{"index.html": "static\n"})
	for _, environment := range []string{"shop-a", "shop-b", "shop-c", "wiki"} {
		p.try("main", "--variable", "REVIEW_STATIC=.", "--environment", "review/"+environment).succeeded(t)
	}
	left := func(want ...string) {
		t.Helper()
		if got := strings.Join(appNames(t), " "); got != strings.Join(want, " ") {
			t.Errorf("left are %q, want %q", got, want)
		}
	}
	runProgram(t, "logs", "wiki").failed(t, `review app "wiki" is a static site`)
	runProgram(t, "pin", "shop-c").succeeded(t)

	runProgram(t, "stop", "shop-*", "--dry-run").succeeded(t).says(t, "Would stop review app shop-a", "Would stop review app shop-b", "Left alone, because pinned: 1 app.")
	if r := runProgram(t, "stop", "shop-*").failed(t, "there is no terminal to ask on: say --yes"); r.code != 2 {
		t.Errorf("exit code %d", r.code)
	}
	runProgram(t, "stop", "shop-a", "shopp").failed(t, `there is no review app "shopp"`)
	runProgram(t, "stop", "shop-a", "one", "two").failed(t, "2 of 3 apps cannot be found")
	runProgram(t, "stop", "--project", "other/**", "--yes").succeeded(t).says(t, "No review app is chosen.")
	runProgram(t, "stop", "--older-than", "72h", "--yes").succeeded(t).says(t, "No review app is chosen.")
	if out := onTerminal(t, "n\n", "stop 'shop-*'"); !strings.Contains(out, "Stop 2 apps? [y/N]") || !strings.Contains(out, "nobody said yes") {
		t.Errorf("asked, and no:\n%s", out)
	}
	left("shop-a", "shop-b", "shop-c", "wiki")
	if out := onTerminal(t, "y\n", "stop 'shop-*'"); !strings.Contains(out, "Stopped 2 apps") {
		t.Errorf("asked, and yes:\n%s", out)
	}
	left("shop-c", "wiki")
	runProgram(t, "stop", "--project", "local/*", "--newer-than", "1h", "--yes").succeeded(t).says(t, "pinned: 1 app.", "Stopped 1 app\n")
	left("shop-c")
	runProgram(t, "stop", "shop-c").succeeded(t) // pinned, but by its name
	left()
}

func TestAdmin_PruneSaysWhatItFrees(t *testing.T) {
	newProject(t, nil)
	runProgram(t, "prune", "--all").succeeded(t) // what other tests have left
	dir := t.TempDir()
	file := filepath.Join(dir, "Containerfile")
	// By hand, for no app that there is.
	if err := os.WriteFile(file, []byte("FROM "+busybox+"\nRUN head -c 3000000 /dev/urandom >/data\nRUN echo last >/last\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	host.Podman(t, "build", "--tag", "localhost/review/nobody:1234567-1", dir)
	const cache = "review-cache-7-protected-0"
	host.Podman(t, "volume", "create", "--label", "review-executor.role=cache", "--label", "review-executor.project=group/shop", cache)
	host.Podman(t, "run", "--rm", "--volume", cache+":/cache", busybox, "sh", "-c", "head -c 2000000 /dev/urandom >/cache/file")

	runProgram(t, "prune", "--dry-run").succeeded(t).says(t, "Would remove image localhost/review/nobody:1234567-1, 2.9MiB", "Would free 2.9MiB")
	runProgram(t, "prune", "--dry-run", "--all").succeeded(t).says(t, "Would remove cache "+cache+" of group/shop, last used 20", "Would free 4.8MiB")
	runProgram(t, "prune", "--keep-storage", "1GB", "--older-than", "720h").succeeded(t).says(t, "Removed image localhost/review/nobody:1234567-1", "Freed 2.9MiB")
	if out := host.Podman(t, "volume", "ls", "--quiet"); !strings.Contains(out, cache) {
		t.Errorf("volumes: %s", out)
	}
	runProgram(t, "prune", "--keep-storage", "1MB").succeeded(t).says(t, "Removed cache "+cache, "Freed 1.9MiB")
	runProgram(t, "prune", "--all").succeeded(t).says(t, "Nothing else can go.")
}
