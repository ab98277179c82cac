package main

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"gitlab.com/review-executor/review-executor/apache"
	"gitlab.com/review-executor/review-executor/executor"
	"gitlab.com/review-executor/review-executor/gitlab"
	"gitlab.com/review-executor/review-executor/pages"
	"gitlab.com/review-executor/review-executor/podman"
	"gitlab.com/review-executor/review-executor/review"
	"gitlab.com/review-executor/review-executor/supervisor"
)

// settingsOf loads the configuration that the command line names.
func settingsOf(cmd *cobra.Command) (Settings, error) {
	file, err := cmd.Flags().GetString("config")
	if err != nil {
		return Settings{}, err
	}
	return loadSettings(file)
}

// checkOwner keeps root from writing where the state is another user's, who could then
// change nothing of it any more.
func checkOwner(s Settings) error {
	return checkOwnerOf("the state of the apps", s.StateDir)
}

func checkOwnerOf(what, dir string) error {
	info, err := os.Stat(dir)
	if err != nil || os.Geteuid() != 0 {
		return nil // there is nothing yet, or the system says what is not allowed
	}
	stat, is := info.Sys().(*syscall.Stat_t)
	if !is || stat.Uid == 0 {
		return nil
	}
	name := strconv.Itoa(int(stat.Uid))
	if owner, err := user.LookupId(name); err == nil {
		name = owner.Username
	}
	return &review.Failure{
		What:  fmt.Sprintf("%s, %s, belongs to %s, and root would leave files there that %s cannot use", what, dir, name, name),
		State: "nothing was changed",
		Hint:  fmt.Sprintf("run it as that user: sudo -u %s %s", name, strings.Join(os.Args, " ")),
	}
}

// afterStep is where tests kill the process.
var afterStep = func() {}

// newLifecycle puts the parts together that deploy and stop apps. engine may
// be nil for what touches no container, and forge where GitLab is not asked.
func newLifecycle(s Settings, engine *podman.Podman, forge review.Forge, log logrus.FieldLogger) *review.Lifecycle {
	front := apache.New(s.Apache, s.Domain, filepath.Join(s.StateDir, "sites"), s.logins())
	l := &review.Lifecycle{
		Records: review.NewRecords(s.StateDir),
		Forge:   forge,
		Front:   front,
		Pages:   newPages(s, front),
		Unwritten: func(err error) {
			log.WithError(err).Warn("the index page and the pages of the apps' states could not be written")
		},
		Domain:    s.Domain,
		Limits:    s.Limits,
		Isolation: s.Isolation,
		Lifetime:  s.Lifetime,
		Gone:      executor.Gone,
		Done: func(app, step string) {
			log.WithFields(logrus.Fields{"app": app, "step": step}).Info("step done")
			afterStep()
		},
	}
	if engine != nil {
		engine.StoreFile = filepath.Join(s.StateDir, "podman.json")
		l.Containers = engine
	}
	if s.Apache.FrontUnit != "" {
		l.FrontUnit = apache.NewFrontUnit(s.Apache)
	}
	if s.Supervisor == "systemd" {
		l.Supervisor = supervisor.New(s.file)
	}
	if s.GitLab.Notes {
		l.Notes = &review.Notes{Login: s.GitLab.Login}
	}
	return l
}

// newPages are what Apache sends beside the apps, in its own directory.
func newPages(s Settings, front *apache.Front) *pages.Pages {
	p := pages.New(s.Apache.WWW(), s.Domain, s.MetricsFile)
	p.Index = front.URL(s.Domain)
	return p
}

// newForge is nil if no GitLab is configured.
func newForge(s Settings) (*gitlab.GitLab, error) {
	if !s.GitLab.Configured() {
		return nil, nil
	}
	return gitlab.New(s.GitLab, filepath.Join(s.StateDir, "gitlab"))
}

// connectedLifecycle is what a command needs that changes apps.
func connectedLifecycle(cmd *cobra.Command) (*review.Lifecycle, error) {
	s, err := settingsOf(cmd)
	if err != nil {
		return nil, err
	}
	if err := checkOwner(s); err != nil {
		return nil, err
	}
	engine, err := podman.Connect(cmd.Context(), s.Podman.Socket)
	if err != nil {
		return nil, err
	}
	return newLifecycle(s, engine, newAsker(s), operatorLog(cmd)), nil
}

// newExecutor puts the parts of one stage together.
func newExecutor(ctx context.Context, cmd *cobra.Command) (*executor.Executor, error) {
	s, err := settingsOf(cmd)
	if err != nil {
		return nil, err
	}
	if err := checkOwner(s); err != nil {
		return nil, err
	}
	engine, err := podman.Connect(ctx, s.Podman.Socket)
	if err != nil {
		return nil, err
	}
	log, forge := operatorLog(cmd), newAsker(s)
	return &executor.Executor{
		Engine:    engine,
		Apps:      newLifecycle(s, engine, forge, log),
		Jobs:      s.Jobs,
		Policy:    s.Policy,
		Members:   forge,
		Isolation: s.Isolation,
		Hostname:  s.hostname,
		HostEnv:   s.projectEnv,
		Env:       executor.Environ(os.Environ()),
		Stdout:    cmd.OutOrStdout(),
		Stderr:    cmd.ErrOrStderr(),
		Operator:  log,
	}, nil
}
