package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"gitlab.com/review-executor/review-executor/doctor"
	"gitlab.com/review-executor/review-executor/review"
)

// setup is a host to be made ready.
type setup struct {
	cmd          *cobra.Command
	keys         []tomlKey // of the configuration
	runnerConfig string
	yes, dryRun  bool
	in           *bufio.Reader
	out          io.Writer
}

func newSetup() *cobra.Command {
	var domain, url, token, listen, certificate, key string
	s := &setup{}
	cmd := &cobra.Command{
		Use:     "setup",
		GroupID: "admin",
		Short:   "Make this machine a review host",
		Long: `setup makes of a machine with Podman, Apache and gitlab-runner a review host. It
sets what its flags name in the configuration, then runs the commands that
doctor prints, and looks again until there is nothing left that a command can
mend. It ends with what doctor says.

Everything is shown before it is done, and asked for. It can be run again at any
time, and then does only what is missing. Other keys and comments of the
configuration, and of gitlab-runner's, stay.`,
		Example: `  sudo review-executor setup --domain review.example.org
  sudo review-executor setup --domain review.example.org --listen '*:443' \
    --tls-certificate /etc/ssl/review.pem --tls-key /etc/ssl/private/review.key \
    --gitlab-url https://gitlab.example.org --token-file /etc/review-executor/gitlab-token --yes`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s.cmd, s.in, s.out = cmd, bufio.NewReader(cmd.InOrStdin()), cmd.OutOrStdout()
			for _, k := range []tomlKey{
				{"", "domain", domain}, {"apache", "listen", listen}, {"apache", "tls_certificate", certificate}, {"apache", "tls_key", key},
				{"gitlab", "url", url}, {"gitlab", "token_file", token},
			} {
				if k.value != "" {
					s.keys = append(s.keys, k)
				}
			}
			return s.run()
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&domain, "domain", "", "`DOMAIN` of the apps, whose wildcard record leads here")
	flags.StringVar(&url, "gitlab-url", "", "address of GitLab: `URL`")
	flags.StringVar(&token, "token-file", "", "`FILE` of GitLab's token")
	flags.StringVar(&listen, "listen", "", "`ADDRESS` and port of the virtual hosts, such as *:443")
	flags.StringVar(&certificate, "tls-certificate", "", "`FILE` of the wildcard certificate with its chain")
	flags.StringVar(&key, "tls-key", "", "`FILE` of the certificate's key")
	flags.StringVar(&s.runnerConfig, "runner-config", defaultRunnerConfig, "gitlab-runner's configuration: `FILE`")
	flags.BoolVar(&s.yes, "yes", false, "do not ask")
	flags.BoolVar(&s.dryRun, "dry-run", false, "only show what would be done first")
	return cmd
}

// rounds are more than it takes from a bare machine: what one command needs, another may
// have to mend first.
const rounds = 6

func (s *setup) run() error {
	if os.Geteuid() != 0 && !s.dryRun {
		return &review.Failure{What: "only root can make a machine a review host", State: "nothing was changed", Hint: "sudo " + strings.Join(os.Args, " ")}
	}
	if err := s.configure(); err != nil {
		return err
	}
	var before []string
	for range rounds {
		todo := mends(s.look())
		if len(todo) == 0 || slices.Equal(todo, before) {
			break
		}
		s.show("Commands", todo)
		if s.dryRun {
			return nil
		}
		if err := s.agreed(); err != nil {
			return err
		}
		for _, line := range todo {
			if err := s.do(line); err != nil { // the next look says whether it matters
				fmt.Fprintf(s.out, "  %s: %v\n", line, err)
			}
		}
		before = todo
	}
	if s.dryRun {
		return nil
	}
	found := s.look()
	return errors.Join(writeFindings(s.out, found), verdictOf(found))
}

func (s *setup) look() []doctor.Finding {
	return doctor.Run(s.cmd.Context(), hostChecks(s.cmd, s.runnerConfig), doctorTimeout)
}

// mends are the commands that need nobody's hands, each once.
func mends(found []doctor.Finding) []string {
	var all []string
	for _, f := range found {
		if slices.ContainsFunc(f.Mend, func(line string) bool { return !doctor.Runs(line) }) {
			continue
		}
		for _, line := range f.Mend {
			if !slices.Contains(all, line) {
				all = append(all, line)
			}
		}
	}
	return all
}

func (s *setup) do(line string) error {
	cmd := exec.CommandContext(s.cmd.Context(), "sh", "-c", line)
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = s.out, s.cmd.ErrOrStderr()
	return cmd.Run()
}

// configure sets the keys in the configuration.
func (s *setup) configure() error {
	file, _ := s.cmd.Flags().GetString("config") // it is defined
	file = cmp.Or(file, os.Getenv("REVIEW_EXECUTOR_CONFIG"), defaultConfigFile)
	before, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	after := string(before)
	var changes []string
	for _, k := range s.withFront(string(before)) {
		if next := setTOML(after, k); next != after {
			after = next
			changes = append(changes, strings.TrimPrefix(k.table+".", ".")+fmt.Sprintf("%s = %q", k.key, k.value))
		}
	}
	settings := defaultSettings()
	if err := decodeSettings([]byte(after), &settings); err != nil {
		return &review.Failure{What: "the configuration in " + file + " would have problems", Cause: err, State: "nothing was changed", Hint: "docs/configuration.md describes every key"}
	}
	if len(changes) == 0 {
		return nil
	}
	s.show("In "+file, changes)
	if s.dryRun {
		return nil
	}
	if err := s.agreed(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return renameio.WriteFile(file, []byte(after), 0o644)
}

// frontUnit is the package's, which writes virtual hosts as a user of its own.
const (
	frontUnit     = "review-executor-front.service"
	frontVhostDir = "/var/lib/review-front/vhosts"
)

// withFront are the keys, and those of the front's unit where the package has brought one
// and the configuration says nothing else.
func (s *setup) withFront(text string) []tomlKey {
	_, err := os.Stat("/usr/lib/systemd/system/" + frontUnit)
	if err != nil || strings.Contains(text, "front_unit") {
		return s.keys
	}
	return append(s.keys, tomlKey{"apache", "front_unit", frontUnit}, tomlKey{"apache", "vhost_dir", frontVhostDir})
}

func (s *setup) show(title string, lines []string) {
	fmt.Fprintf(s.out, "%s:\n", title)
	for _, line := range lines {
		fmt.Fprintf(s.out, "    %s\n", strings.ReplaceAll(line, "\n", "\n    "))
	}
}

// agreed asks, unless that was said before.
func (s *setup) agreed() error {
	if s.yes {
		return nil
	}
	fmt.Fprint(s.out, "Do that? [y/N] ")
	answer, _ := s.in.ReadString('\n') // the end is no
	if strings.EqualFold(strings.TrimSpace(answer), "y") {
		return nil
	}
	return &review.Failure{What: "that was not agreed to", State: "what was shown last was not done", Hint: "--yes agrees to everything"}
}
