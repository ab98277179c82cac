package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"gitlab.com/review-executor/review-executor/podman"
	"gitlab.com/review-executor/review-executor/review"
	"gitlab.com/review-executor/review-executor/webhook"
)

func newServe() *cobra.Command {
	return &cobra.Command{
		Use:     "serve",
		GroupID: "admin",
		Short:   "Receive webhooks, and stop the apps that they end",
		Long: `serve receives the webhooks of GitLab under /gitlab, and those of GitHub for
mirrors under /github. It answers once an event is on disk, and then stops the
apps that the event ends, if GitLab says so too. What fails is tried again for
some minutes; what fails still is set aside in the state directory, under
queue/failed, with the reason.

systemd starts it for its socket, and it leaves when there is nothing to do.
Without systemd it listens on webhook.listen, and stays.`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := settingsOf(cmd)
			if err != nil {
				return err
			}
			log := operatorLog(cmd)
			options, err := s.serving(log)
			if err != nil {
				return err
			}
			if err := s.listen(cmd.Context(), &options); err != nil {
				return err
			}
			return webhook.Serve(cmd.Context(), options)
		},
	}
}

// serving is what the webhooks are received with, but for where.
func (s Settings) serving(log logrus.FieldLogger) (webhook.Options, error) {
	secrets, err := s.secrets()
	if err != nil {
		return webhook.Options{}, &review.Failure{
			What:  "no webhook can be received",
			Cause: err,
			State: "nothing was changed; sync goes on asking GitLab",
			Hint:  `"Webhooks" in docs/gitlab.md says how to set them up`,
		}
	}
	if _, err := newForge(s); err != nil { // an event that cannot be asked about would be set aside
		return webhook.Options{}, err
	}
	return webhook.Options{
		Dir:     filepath.Join(s.StateDir, "queue"),
		Secrets: secrets,
		Mirrors: s.mirrors(),
		Apps:    &ending{settings: s, forge: newAsker(s), log: log},
		Log:     log,
		Ready:   func() { notify(log, daemon.SdNotifyReady) },
		Leaving: func() { notify(log, daemon.SdNotifyStopping) },
	}, nil
}

// maxSecret is more than any secret.
const maxSecret = 4096

func (s Settings) secrets() (webhook.Secrets, error) {
	var secrets webhook.Secrets
	for _, one := range []struct {
		key, file string
		secret    *string
	}{
		{"secret_file", s.Webhook.SecretFile, &secrets.GitLab},
		{"github_secret_file", s.Webhook.GitHubSecretFile, &secrets.GitHub},
	} {
		if one.file == "" {
			continue
		}
		data, err := review.ReadPrivate(one.file, maxSecret)
		if err != nil {
			return secrets, fmt.Errorf("webhook.%s: %w", one.key, err)
		}
		if *one.secret = strings.TrimSpace(string(data)); *one.secret == "" {
			return secrets, fmt.Errorf("webhook.%s: %s is empty", one.key, one.file)
		}
	}
	if secrets == (webhook.Secrets{}) {
		return secrets, fmt.Errorf("neither webhook.secret_file nor webhook.github_secret_file is set")
	}
	return secrets, secrets.Check()
}

// listen takes the sockets that systemd has, or makes one that stays.
func (s Settings) listen(ctx context.Context, options *webhook.Options) error {
	listeners, err := activation.Listeners()
	if err != nil {
		return fmt.Errorf("take systemd's sockets: %w", err)
	}
	for _, l := range listeners {
		if l != nil { // else it is no socket that connections come to
			options.Listeners = append(options.Listeners, l)
		}
	}
	if len(options.Listeners) > 0 {
		options.Idle = s.Webhook.Idle
		return nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.Webhook.Listen)
	if err != nil {
		return fmt.Errorf("webhook.listen: %w", err)
	}
	options.Listeners = []net.Listener{l}
	options.Log.WithField("address", l.Addr().String()).Info("listening")
	return nil
}

func notify(log logrus.FieldLogger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.WithError(err).Warn("systemd could not be told: " + state)
	}
}

// ending ends apps. Podman is asked for only when there is an app to be ended, so
// that events are taken while it is away.
type ending struct {
	settings  Settings
	forge     review.Forge // nil: GitLab is not asked
	log       logrus.FieldLogger
	mu        sync.Mutex
	connected *review.Lifecycle // nil: nobody was to be ended yet
}

func (e *ending) Affected(ctx context.Context, event review.Event) ([]string, error) {
	return newLifecycle(e.settings, nil, nil, e.log).Affected(ctx, event)
}

func (e *ending) Follow(ctx context.Context, event review.Event, app string) error {
	l, err := e.lifecycle(ctx)
	if err != nil {
		return err
	}
	log := e.log.WithFields(logrus.Fields{"app": app, "event": event.ID})
	return l.Follow(ctx, event, app, review.NewLog(lines{log}))
}

func (e *ending) lifecycle(ctx context.Context) (*review.Lifecycle, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.connected != nil {
		return e.connected, nil
	}
	engine, err := podman.Connect(ctx, e.settings.Podman.Socket)
	if err != nil {
		return nil, err
	}
	e.connected = newLifecycle(e.settings, engine, e.forge, e.log)
	return e.connected, nil
}

// lines writes a job log's lines to the operator's.
type lines struct{ log logrus.FieldLogger }

func (l lines) Write(text []byte) (int, error) {
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			l.log.Info(string(line))
		}
	}
	return len(text), nil
}
