package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"gitlab.com/review-executor/review-executor/apache"
	"gitlab.com/review-executor/review-executor/doctor"
	"gitlab.com/review-executor/review-executor/executor"
	"gitlab.com/review-executor/review-executor/gitlab"
	"gitlab.com/review-executor/review-executor/podman"
	"gitlab.com/review-executor/review-executor/review"
)

func newDoctor() *cobra.Command {
	var (
		output string
		only   []string
	)
	cmd := &cobra.Command{
		Use:     "doctor",
		GroupID: "admin",
		Short:   "Look at everything that this host needs",
		Long: `doctor looks at everything that the apps of this host need: Podman, Apache,
GitLab, the runner, systemd, disk, names and certificates, and at what the
records say against what is there. Each line says what was seen, or what is
wrong, and below it the commands that mend it, which are root's. It changes
nothing.

Root sees everything. The runner's user is told what only root can look at.

Exit codes: 0 all is well, 3 there are warnings alone, 1 something does not
work, 2 wrong usage.`,
		Example: `  sudo review-executor doctor
  review-executor doctor --output json
  review-executor doctor --only disk,certificate`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output, "text", "json"); err != nil {
				return err
			}
			checks, err := chosenChecks(hostChecks(cmd, defaultRunnerConfig), only)
			if err != nil {
				return err
			}
			found := doctor.Run(cmd.Context(), checks, doctorTimeout)
			if output == "json" {
				err = writeJSON(cmd.OutOrStdout(), found)
			} else {
				err = writeFindings(cmd.OutOrStdout(), found)
			}
			return errors.Join(err, verdictOf(found))
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "`FORMAT` of what is found: text or json")
	cmd.Flags().StringSliceVar(&only, "only", nil, "only the checks of these `NAMES`, which the lines begin with")
	completeWith(cmd, "output", "text", "json")
	return cmd
}

// defaultRunnerConfig is where gitlab-runner's package has its configuration.
const defaultRunnerConfig = "/etc/gitlab-runner/config.toml"

// doctorTimeout is for all checks together, which are done at the same time.
const doctorTimeout = 20 * time.Second

// chosenChecks are those of the names; without any, all.
func chosenChecks(checks []doctor.Check, names []string) ([]doctor.Check, error) {
	if len(names) == 0 {
		return checks, nil
	}
	var known []string
	for _, check := range checks {
		known = append(known, check.Name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, usageError{fmt.Errorf("there is no check %q, but %s", name, strings.Join(known, ", "))}
		}
	}
	return slices.DeleteFunc(checks, func(c doctor.Check) bool { return !slices.Contains(names, c.Name) }), nil
}

// findings tells that the host is not well. What is wrong has been said.
type findings struct{ worst doctor.Level }

func (f findings) Error() string { return "this host is not well" }

func verdictOf(found []doctor.Finding) error {
	if worst := doctor.Worst(found); worst != doctor.OK {
		return findings{worst}
	}
	return nil
}

// writeFindings writes a line for each finding, with what mends it below.
func writeFindings(w io.Writer, found []doctor.Finding) error {
	width := 0
	for _, f := range found {
		width = max(width, len(f.Check))
	}
	var b strings.Builder
	mends := false
	for _, f := range found {
		level := string(f.Level)
		if f.Level == doctor.Warn || f.Level == doctor.Fail {
			level = strings.ToUpper(level)
		}
		fmt.Fprintf(&b, "%-4s  %-*s  %s\n", level, width, f.Check, f.Seen)
		for _, line := range f.Mend {
			fmt.Fprintf(&b, "          %s\n", line)
			mends = true
		}
	}
	if mends {
		b.WriteString("\nThe commands are for root's shell.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// hostChecks are all checks, in the order in which they are shown: what others need comes
// before them. runnerConfig is gitlab-runner's configuration.
func hostChecks(cmd *cobra.Command, runnerConfig string) []doctor.Check {
	s, h := doctorHost(cmd)
	return slices.Concat(systemChecks(h), podmanChecks(s, h), apacheChecks(s, h), gitlabChecks(s, h), runnerChecks(s, h, runnerConfig), appChecks(s, h))
}

// doctorHost is the configuration, as far as it can be read, and what follows from it.
func doctorHost(cmd *cobra.Command) (Settings, doctor.Host) {
	file := configFlag(cmd)
	s, err := loadSettings(file)
	h := doctor.Host{ConfigFile: file, Program: "review-executor", StateDir: s.StateDir, Domain: s.Domain, Now: time.Now(), Root: os.Geteuid() == 0}
	if absolute, err := filepath.Abs(file); err == nil { // commands are run anywhere
		h.ConfigFile = absolute
	}
	if executable, err := os.Executable(); err == nil {
		h.Program = executable
	}
	var failure *review.Failure
	switch {
	case errors.Is(err, fs.ErrNotExist):
		h.Missing = true
	case errors.As(err, &failure):
		h.Problems = []error{failure.Cause}
	}
	h.User = doctor.Owner(s.StateDir)
	if s.Podman.Socket == defaultSocket() && h.Root { // root's own is not the runner's
		s.Podman.Socket = h.User.Socket()
	}
	return s, h
}

func systemChecks(h doctor.Host) []doctor.Check {
	return []doctor.Check{
		{Name: "configuration", Look: h.Config},
		{Name: "user", Look: h.Runner},
		{Name: "state", Look: h.State},
		{Name: "linger", Look: h.Linger("/var/lib/systemd/linger")},
		{Name: "subuids", Look: h.SubIDs("/etc/subuid", "--add-subuids")},
		{Name: "subgids", Look: h.SubIDs("/etc/subgid", "--add-subgids")},
	}
}

func podmanChecks(s Settings, h doctor.Host) []doctor.Check {
	p := doctor.Podman{Host: h, Socket: s.Podman.Socket, Helper: s.Jobs.HelperImage, Limits: map[string]bool{
		"memory": s.Isolation.Memory != 0, "cpu": s.Isolation.CPUs != 0, "pids": s.Isolation.PIDs != 0,
	}}
	connect := connectOnce(s.Podman.Socket)
	p.About = onceInTime(func(ctx context.Context) (doctor.Engine, error) {
		engine, err := connect(ctx)
		if err != nil {
			return doctor.Engine{}, err
		}
		about, err := engine.About(ctx)
		return doctor.Engine(about), err
	})
	p.Has = func(ctx context.Context, image string) (bool, error) {
		engine, err := connect(ctx)
		if err != nil {
			return false, err
		}
		return engine.HasImage(ctx, image)
	}
	store := func(ctx context.Context) (string, error) {
		about, err := p.About(ctx)
		return about.Store, err
	}
	return []doctor.Check{
		{Name: "podman", Look: p.SocketAnswers},
		{Name: "podman-socket", Look: p.SocketEnabled},
		{Name: "podman-version", Look: p.Version},
		{Name: "cgroups", Look: p.Cgroups},
		{Name: "network", Look: p.Network},
		{Name: "storage", Look: p.Storage},
		{Name: "helper-image", Look: p.HelperImage},
		{Name: "disk", Look: h.Disk(func(context.Context) (string, error) { return s.StateDir, nil })},
		{Name: "disk-podman", Look: h.Disk(store)},
	}
}

func apacheChecks(s Settings, h doctor.Host) []doctor.Check {
	a := doctor.Apache{
		Host: h, VhostDir: s.Apache.VhostDir, Configtest: s.Apache.Configtest, Reload: s.Apache.Reload.Command,
		FrontUnit: s.Apache.FrontUnit, Listen: s.Apache.Address(), Modules: s.Apache.Modules(), AccessLog: s.Apache.AccessLog,
	}
	logins := doctor.Logins{Host: h, Files: map[string]string{}}
	if s.Apache.Login == apache.LoginPassword {
		logins.Files[""], logins.Order = s.Apache.Htpasswd, []string{""}
	}
	for _, p := range s.Projects {
		if p.Htpasswd != "" {
			logins.Files[p.Path], logins.Order = p.Htpasswd, append(logins.Order, p.Path)
		}
	}
	front := apache.New(s.Apache, s.Domain, "", nil)
	return []doctor.Check{
		{Name: "apache", Look: a.Installed},
		{Name: "access-log", Look: a.LogDirectory},
		{Name: "apache-running", Look: a.Running},
		{Name: "apache-modules", Look: a.Loaded},
		{Name: "apache-include", Look: a.Included},
		{Name: "apache-config", Look: a.Accepted},
		{Name: "apache-reload", Look: a.CanReload},
		{Name: "vhost-dir", Look: a.Virtual},
		{Name: "front", Look: a.Ran(frontResults(s), damagedRecords(s))},
		{Name: "logins", Look: logins.Users},
		{Name: "certificate", Look: h.Certificate(doctor.TLS{
			Certificate: s.Apache.TLSCertificate, Key: s.Apache.TLSKey, Shared: s.Apache.FrontUnit == "",
			Warnings: func() []string { return front.Warnings("") },
		})},
		{Name: "dns", Look: h.DNS(net.DefaultResolver.LookupHost)},
	}
}

// frontResults is where the front tells of its runs.
func frontResults(s Settings) string {
	if s.Apache.FrontUnit != "" {
		return s.Apache.Results()
	}
	return filepath.Join(s.StateDir, review.FrontResults)
}

// damagedRecords tells which records cannot be read, and how many can.
func damagedRecords(s Settings) func() (int, map[string]error, error) {
	return func() (int, map[string]error, error) {
		records, damaged, err := review.NewRecords(s.StateDir).All()
		return len(records), damaged, err
	}
}

func gitlabChecks(s Settings, h doctor.Host) []doctor.Check {
	g := doctor.GitLab{Host: h, URL: s.GitLab.URL, TokenFile: s.GitLab.TokenFile, Notes: s.GitLab.Notes}
	g.Ask = onceInTime(func(ctx context.Context) (doctor.Rights, error) {
		forge, err := gitlab.New(s.GitLab, "") // keeps nothing: it may be root who asks
		if err != nil {
			return doctor.Rights{}, err
		}
		rights, err := forge.Rights(ctx)
		return doctor.Rights(rights), err
	})
	return []doctor.Check{
		{Name: "secrets", Look: h.Secrets(secretsOf(s))},
		{Name: "gitlab", Look: g.Token},
		{Name: "clock", Look: g.Clock},
	}
}

// secretsOf are the files of secrets that the configuration names.
func secretsOf(s Settings) []doctor.Secret {
	all := []doctor.Secret{
		{Key: "gitlab.token_file", File: s.GitLab.TokenFile},
		{Key: "webhook.secret_file", File: s.Webhook.SecretFile},
		{Key: "webhook.github_secret_file", File: s.Webhook.GitHubSecretFile},
	}
	for _, p := range s.Projects {
		all = append(all, doctor.Secret{Key: "env_file of " + p.Path, File: p.EnvFile})
	}
	return slices.DeleteFunc(all, func(one doctor.Secret) bool { return one.File == "" })
}

func runnerChecks(s Settings, h doctor.Host, runnerConfig string) []doctor.Check {
	checks := []doctor.Check{
		{Name: "runner", Look: h.RunnerUser("gitlab-runner.service", runnerConfig)},
		{Name: "runner-config", Look: h.RunnerConfig(runnerConfig)},
		{Name: "sync", Look: h.Sync},
		{Name: "units", Look: h.Units},
	}
	if s.Webhook.SecretFile != "" || s.Webhook.GitHubSecretFile != "" {
		checks = append(checks, doctor.Check{Name: "webhooks", Look: doctor.Enabled("review-executor-webhook.socket", "no webhook reaches this host")})
	}
	return checks
}

func appChecks(s Settings, h doctor.Host) []doctor.Check {
	connect := connectOnce(s.Podman.Socket)
	lifecycle := func(ctx context.Context) (*review.Lifecycle, error) {
		engine, err := connect(ctx)
		l := &review.Lifecycle{
			Records: review.NewRecords(s.StateDir),
			Front:   apache.New(s.Apache, s.Domain, filepath.Join(s.StateDir, "sites"), s.logins()),
			Gone:    executor.Gone,
		}
		if err == nil {
			l.Containers = engine
		}
		return l, err
	}
	a := doctor.Apps{
		Host:    h,
		Damaged: damagedRecords(s),
		Silent: func(ctx context.Context) (map[string]error, error) {
			l, _ := lifecycle(ctx) // without Podman, it is asked what Apache serves
			return l.Silent(ctx)
		},
		Strays: func(ctx context.Context) (map[string][]string, error) {
			l, err := lifecycle(ctx)
			if err != nil {
				return nil, err
			}
			return l.Strays(ctx)
		},
	}
	return []doctor.Check{
		{Name: "records", Look: a.Records},
		{Name: "apps", Look: a.Serving},
		{Name: "orphans", Look: a.Orphans},
	}
}

// connectOnce returns how to reach Podman, which is done when it is first needed.
func connectOnce(socket string) func(context.Context) (*podman.Podman, error) {
	return onceInTime(func(ctx context.Context) (*podman.Podman, error) { return podman.Connect(ctx, socket) })
}

// onceInTime calls ask once, for all who want to know, with the context of the first.
func onceInTime[T any](ask func(context.Context) (T, error)) func(context.Context) (T, error) {
	var (
		once  sync.Once
		value T
		err   error
	)
	return func(ctx context.Context) (T, error) {
		once.Do(func() { value, err = ask(ctx) })
		return value, err
	}
}
