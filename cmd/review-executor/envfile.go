package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strings"

	"gitlab.com/review-executor/review-executor/review"
)

// projectEnv reads the variables that the configuration has for the project's apps.
func (s Settings) projectEnv(project string) (map[string]string, error) {
	for _, p := range s.Projects {
		if p.Path != project || p.EnvFile == "" {
			continue
		}
		env, err := readEnvFile(p.EnvFile)
		if err != nil {
			return nil, &review.Failure{
				What:  "the host's variables for project " + project + " cannot be used",
				Cause: err,
				State: "nothing was changed",
				Hint:  "not your branch: show this to the host's administrator",
			}
		}
		return env, nil
	}
	return nil, nil
}

// maxEnvFile is more than any environment.
const maxEnvFile = 1 << 20

// readEnvFile reads NAME=VALUE by line, as podman's --env-file does: values are
// taken as they are, empty lines and those that begin with # are skipped. Its
// errors do not tell values. A file that others may read is refused.
func readEnvFile(file string) (map[string]string, error) {
	data, err := review.ReadPrivate(file, maxEnvFile)
	if err != nil {
		return nil, err
	}
	return parseEnv(data)
}

func parseEnv(data []byte) (map[string]string, error) {
	env := map[string]string{}
	var problems []error
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, maxEnvFile)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSuffix(lines.Text(), "\r")
		if text := strings.TrimSpace(line); text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		name, value, found := strings.Cut(line, "=")
		err := review.CheckVariable(name, value)
		if !found {
			err = errors.New("is not NAME=VALUE")
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("line %d: %w", n, err))
			continue
		}
		env[name] = value
	}
	return env, errors.Join(append(problems, lines.Err())...)
}
