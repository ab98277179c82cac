package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"gitlab.com/review-executor/review-executor/apache"
	"gitlab.com/review-executor/review-executor/doctor"
	"gitlab.com/review-executor/review-executor/review"
)

// setupOptions are what setup was asked for.
type setupOptions struct {
	domain, listen, certificate, key   string
	gitlab, tokenFile, runnerTokenFile string
	user, runnerConfig                 string
	yes, dryRun                        bool
}

func newSetup() *cobra.Command {
	var o setupOptions
	cmd := &cobra.Command{
		Use:     "setup",
		GroupID: "admin",
		Short:   "Make this host a review host",
		Long: `setup makes a review host of this one: it writes what was asked for into the
configuration, keeping the rest of that file, and then runs the commands that
"doctor" prints for what is not as it should be, until doctor finds nothing
more that a command can mend. It shows everything before it does it, and asks.

It can be run again at any time, and does then what is still missing. What it
cannot do, such as a DNS record, is in doctor's words at the end.

With --runner-token-file it registers a runner of gitlab-runner, unless there
is one. The token is that of a runner made in GitLab, and is in a file so that
no list of processes shows it.

Exit codes are doctor's.`,
		Example: `  sudo review-executor setup --domain review.example.org
  sudo review-executor setup --domain review.example.org --user alice \
    --tls-certificate /etc/ssl/review.pem --tls-key /etc/ssl/private/review.key \
    --gitlab-url https://gitlab.example.org --runner-token-file /root/runner-token`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if os.Geteuid() != 0 {
				return &review.Failure{What: "only root can set up a host", State: "nothing was changed", Hint: "run it with sudo"}
			}
			return o.run(cmd)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.domain, "domain", "", "`DOMAIN` of the apps, whose wildcard DNS record points here")
	f.StringVar(&o.listen, "listen", "", "`ADDRESS` that the apps are served on; with a certificate *:443, else *:80")
	f.StringVar(&o.certificate, "tls-certificate", "", "`FILE` with the wildcard certificate")
	f.StringVar(&o.key, "tls-key", "", "`FILE` with its key")
	f.StringVar(&o.gitlab, "gitlab-url", "", "`URL` of GitLab")
	f.StringVar(&o.tokenFile, "token-file", "", "`FILE` with the token with which GitLab is asked; the runner's user's, mode 600")
	f.StringVar(&o.runnerTokenFile, "runner-token-file", "", "`FILE` with the token of the runner to register")
	f.StringVar(&o.runnerConfig, "runner-config", defaultRunnerConfig, "gitlab-runner's configuration: `FILE`")
	f.StringVar(&o.user, "user", "", "`NAME` of the first user who may see the apps; the password is made and printed once")
	f.BoolVar(&o.yes, "yes", false, "do not ask")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would be done, and do nothing")
	return cmd
}

// wishes are what the command line says about the configuration.
func (o setupOptions) wishes() []wish {
	all := []wish{
		{"", "domain", o.domain},
		{"apache", "tls_certificate", o.certificate},
		{"apache", "tls_key", o.key},
		{"apache", "listen", o.listen},
	}
	if o.certificate != "" && o.listen == "" {
		all = append(all, wish{"apache", "listen", "*:443"}, wish{"apache", "redirect_listen", "*:80"})
	}
	if o.tokenFile != "" { // without a token, GitLab cannot be asked
		all = append(all, wish{"gitlab", "url", o.gitlab}, wish{"gitlab", "token_file", o.tokenFile})
	}
	return slices.DeleteFunc(all, func(w wish) bool { return w.value == "" })
}

// problems are what is wrong with the command line.
func (o setupOptions) problems() error {
	switch {
	case (o.certificate == "") != (o.key == ""):
		return usageError{errors.New("--tls-certificate and --tls-key go together")}
	case o.gitlab == "" && (o.tokenFile != "" || o.runnerTokenFile != ""):
		return usageError{errors.New("a token needs --gitlab-url, whose it is")}
	}
	return nil
}

func (o setupOptions) run(cmd *cobra.Command) error {
	if err := o.problems(); err != nil {
		return err
	}
	file := configFlag(cmd)
	change, err := planConfig(file, slices.Concat(o.wishes(), frontWishes(file)))
	if err != nil {
		return err
	}
	s := setting{cmd: cmd, o: o, done: map[string]bool{}}
	if len(change.wishes) > 0 {
		lines := make([]string, len(change.wishes))
		for i, w := range change.wishes {
			lines[i] = w.String()
		}
		if err := s.perform("The configuration, "+change.file, lines, change.write); err != nil {
			return err
		}
	}
	if err := s.apacheConfig(); err != nil {
		return err
	}
	if err := s.mendAll(); err != nil {
		return err
	}
	if o.dryRun {
		fmt.Fprintln(cmd.OutOrStdout(), "\nNothing was changed. What these steps make visible would follow.")
		return nil
	}
	fmt.Fprintln(cmd.OutOrStdout(), "\nWhat doctor says now:")
	found := s.look()
	return errors.Join(writeFindings(cmd.OutOrStdout(), found), verdictOf(found))
}

// frontWishes have the package's unit write the virtual hosts, where the configuration says
// nothing of who does and where: else it would be the runner's user.
func frontWishes(file string) []wish {
	const name = "review-executor-front.service"
	if _, err := os.Stat("/usr/lib/systemd/system/" + name); err != nil {
		return nil
	}
	text, _ := os.ReadFile(file) // planConfig tells of it
	if bytes.Contains(text, []byte("front_unit")) || bytes.Contains(text, []byte("vhost_dir")) {
		return nil
	}
	return []wish{{"apache", "front_unit", name}, {"apache", "vhost_dir", "/var/lib/review-front/vhosts"}}
}

// configFlag is the configuration that the command line means.
func configFlag(cmd *cobra.Command) string {
	file, _ := cmd.Flags().GetString("config") // it is defined
	return configFile(file)
}

// setting is one run of setup.
type setting struct {
	cmd  *cobra.Command
	o    setupOptions
	done map[string]bool // mends that were tried, or shown
}

// perform shows what is to be done, asks, and does it.
func (s *setting) perform(title string, lines []string, do func() error) error {
	out := s.cmd.OutOrStdout()
	fmt.Fprintf(out, "\n%s:\n", title)
	for _, line := range lines {
		fmt.Fprintln(out, "  "+line)
	}
	if s.o.dryRun {
		return nil
	}
	if !s.o.yes {
		if err := confirm(s.cmd, "Do it?"); err != nil {
			return err
		}
	}
	return do()
}

// apacheConfig brings Debian's copy of what Apache needs to what the configuration says.
func (s *setting) apacheConfig() error {
	const file = "/etc/apache2/conf-available/review-executor.conf"
	settings, err := settingsOf(s.cmd)
	if err != nil || s.o.dryRun { // it follows from what has not been written yet
		return nil //nolint:nilerr // doctor tells of it
	}
	if _, err := os.Stat(filepath.Dir(file)); err != nil {
		return nil //nolint:nilerr // another system's Apache, or none yet
	}
	want, err := apache.BaseConfig(settings.Apache, settings.Domain)
	if err != nil {
		return err
	}
	have, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if bytes.Equal(have, want) {
		return nil
	}
	return s.perform("What Apache needs", []string{"review-executor apache-config > " + file}, func() error {
		if err := renameio.WriteFile(file, want, 0o644, renameio.WithStaticPermissions(0o644)); err != nil {
			return err
		}
		if _, err := os.Stat("/etc/apache2/conf-enabled/review-executor.conf"); err != nil {
			return nil //nolint:nilerr // doctor says that it is not enabled
		}
		said, err := exec.CommandContext(s.cmd.Context(), "apache2ctl", "configtest").CombinedOutput()
		if err == nil {
			return s.shell("systemctl try-reload-or-restart apache2.service")
		}
		restored := renameio.WriteFile(file, have, 0o644, renameio.WithStaticPermissions(0o644))
		return errors.Join(&review.Failure{
			What:  "Apache refuses what the configuration asks of it",
			Cause: fmt.Errorf("%w: %s", err, bytes.TrimSpace(said)),
			State: "Apache goes on as before, and " + file + " is what it was",
			Hint:  "mend what Apache names, here or in its other files, and run this again",
		}, restored)
	})
}

// mendings is how often doctor is asked again at most: what is behind a closed door is seen
// once that is open.
const mendings = 8

// mendAll runs what doctor prints until it prints nothing new.
func (s *setting) mendAll() error {
	for range mendings {
		commands := s.commands(s.look())
		if len(commands) == 0 {
			return nil
		}
		err := s.perform("What is missing", commands, func() error {
			for _, line := range commands {
				if err := s.shell(line); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || s.o.dryRun {
			return err
		}
	}
	return nil
}

// look is doctor's.
func (s *setting) look() []doctor.Finding {
	return doctor.Run(s.cmd.Context(), hostChecks(s.cmd, s.o.runnerConfig), doctorTimeout)
}

// commands are those of the findings that were not run yet and need nobody who thinks.
func (s *setting) commands(found []doctor.Finding) []string {
	var all []string
	add := func(lines ...string) {
		mend := strings.Join(lines, "\n")
		if s.done[mend] {
			return // it has not helped
		}
		s.done[mend] = true
		all = append(all, lines...)
	}
	settings, host := doctorHost(s.cmd)
	for _, f := range found {
		if f.ByHand {
			continue
		}
		if f.Check == "runner-config" && f.Level == doctor.Fail && s.o.runnerTokenFile != "" && !s.done["register"] && !doctor.HasRunner(s.o.runnerConfig) {
			s.done["register"] = true
			add(s.register(host))
			continue
		}
		if f.Check == "logins" { // doctor knows no name
			if file := settings.Apache.Htpasswd; s.o.user != "" && f.Level == doctor.Fail && !s.done["logins"] && !host.HasLogin(file, s.o.user) {
				s.done["logins"] = true
				add(host.SetLogin(file, s.o.user))
				continue
			}
			f.Mend = slices.DeleteFunc(slices.Clone(f.Mend), func(line string) bool { return strings.Contains(line, " password set ") })
		}
		if len(f.Mend) == 0 {
			continue
		}
		if slices.ContainsFunc(f.Mend, func(line string) bool { return !doctor.Runs(line) }) {
			continue
		}
		add(f.Mend...)
	}
	// What heals the apps goes last: it needs all the rest.
	slices.SortStableFunc(all, func(a, b string) int { return cmp.Compare(heals(a), heals(b)) })
	return slices.Compact(all)
}

func heals(line string) int {
	if strings.HasSuffix(line, " sync") {
		return 1
	}
	return 0
}

// register is for root's shell. gitlab-runner takes the token from its environment.
func (s *setting) register(host doctor.Host) string {
	var b strings.Builder
	fmt.Fprintf(&b, "CI_SERVER_TOKEN=\"$(cat %s)\" gitlab-runner register --config %s --non-interactive --url %s --executor custom --name \"$(hostname)\"",
		doctor.Quote(s.o.runnerTokenFile), doctor.Quote(s.o.runnerConfig), doctor.Quote(s.o.gitlab))
	for _, stage := range []string{"config", "prepare", "run", "cleanup"} {
		fmt.Fprintf(&b, " --custom-%s-exec %s", stage, doctor.Quote(host.Program))
		for _, word := range host.StageArgs(stage) { // the flag may be given several times
			fmt.Fprintf(&b, " --custom-%s-args %s", stage, doctor.Quote(word))
		}
	}
	return b.String() + " --custom-graceful-kill-timeout 200 --custom-force-kill-timeout 200"
}

// shell runs a command and shows what it writes. One that fails ends nothing: the next
// look of doctor says what that means.
func (s *setting) shell(line string) error {
	out := s.cmd.OutOrStdout()
	fmt.Fprintln(out, "+ "+line)
	ctx, cancel := context.WithCancel(s.cmd.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", line)
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = out, out
	// What it starts ends with it, and has not the terminal, in which somebody else's could type.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		fmt.Fprintf(out, "  it failed: %v\n", err)
	}
	return nil
}
