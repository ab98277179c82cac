package executor

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.podman.io/image/v5/docker/reference"

	"gitlab.com/review-executor/review-executor/review"
)

// credentials are users of registries, from several sources. The first source
// that knows a registry wins, and within one the longest path.
type credentials [][]Credential

// credentials reads whom the job may be to a registry, in the docker executor's
// order: the CI variable DOCKER_AUTH_CONFIG, the auth file of the runner's
// user, and what GitLab sent with the job.
func (e *Executor) credentials(job Job) (credentials, error) {
	variable, helpers, err := readAuths([]byte(e.variables()["DOCKER_AUTH_CONFIG"]))
	if err != nil {
		return nil, &review.Failure{
			Kind:  review.Build,
			What:  "the CI variable DOCKER_AUTH_CONFIG cannot be used",
			Cause: err,
			Hint:  `set it to JSON, as in {"auths": {"registry.example.org": {"auth": "…"}}}`,
		}
	}
	if helpers {
		e.log().Line("WARNING: credsStore and credHelpers of DOCKER_AUTH_CONFIG are ignored: they would run programs on the host")
	}
	file, err := e.authFile()
	return credentials{variable, file, job.Credentials}, err
}

// authFile reads the first of the files in which Podman and Docker keep the
// passwords of the runner's user.
func (e *Executor) authFile() ([]Credential, error) {
	for _, place := range []struct{ variable, file string }{
		{"REGISTRY_AUTH_FILE", ""},
		{"XDG_RUNTIME_DIR", "containers/auth.json"},
		{"HOME", ".config/containers/auth.json"},
		{"HOME", ".docker/config.json"},
	} {
		if e.Env[place.variable] == "" {
			continue
		}
		file := filepath.Join(e.Env[place.variable], place.file)
		data, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var auths []Credential
		if err == nil {
			auths, _, err = readAuths(data)
		}
		if err != nil {
			return nil, &review.Failure{
				What:  "the runner's auth file " + file + " cannot be used",
				Cause: err,
				Hint:  "not your branch: the host's administrator must mend or remove it",
			}
		}
		return auths, nil
	}
	return nil, nil
}

// readAuths reads Docker's config.json or Podman's auth.json. helpers tells
// that it names programs to ask too. No error repeats what it read.
func readAuths(data []byte) (auths []Credential, helpers bool, err error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, false, nil
	}
	var file struct {
		Auths map[string]struct {
			Auth     string `json:"auth"`
			Username string `json:"username"`
			Password string `json:"password"`
		} `json:"auths"`
		CredsStore  string            `json:"credsStore"`
		CredHelpers map[string]string `json:"credHelpers"`
	}
	if json.Unmarshal(data, &file) != nil {
		return nil, false, errors.New("it is not JSON of that form") // json's errors quote
	}
	for key, auth := range file.Auths {
		c := Credential{URL: key, Username: auth.Username, Password: auth.Password}
		if auth.Auth != "" {
			if c.Username, c.Password, err = decodeAuth(auth.Auth); err != nil {
				return nil, false, fmt.Errorf("registry %q: %w", review.Printable(registryKey(key), 100), err)
			}
		}
		auths = append(auths, c)
	}
	return auths, file.CredsStore != "" || len(file.CredHelpers) > 0, nil
}

func decodeAuth(auth string) (username, password string, err error) {
	text, err := base64.StdEncoding.DecodeString(auth)
	if err != nil {
		return "", "", errors.New(`"auth" is not base64`)
	}
	username, password, found := strings.Cut(string(text), ":")
	if !found || username == "" {
		return "", "", errors.New(`"auth" is not the base64 of user:password`)
	}
	return username, strings.TrimRight(password, "\x00"), nil // Docker on Windows pads it
}

// of returns who the job is to the registry of an image; "" is nobody.
func (c credentials) of(image string) (username, password string) {
	ref, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return "", "" // the pull says what is wrong with it
	}
	for _, source := range c {
		if found := longest(source, strings.ToLower(ref.Name())); found.Username != "" {
			return found.Username, found.Password
		}
	}
	return "", ""
}

func longest(source []Credential, name string) Credential {
	var found Credential
	for _, c := range source {
		key := registryKey(c.URL)
		fits := key != "" && (name == key || strings.HasPrefix(name, key+"/"))
		if fits && c.Username != "" && len(key) > len(registryKey(found.URL)) {
			found = c
		}
	}
	return found
}

// registryKey turns the forms in which a registry is written into the start of
// an image's name: https://index.docker.io/v1/ is docker.io.
func registryKey(url string) string {
	key := strings.ToLower(url)
	key = strings.TrimPrefix(strings.TrimPrefix(key, "https://"), "http://")
	key = strings.TrimRight(key, "/")
	key = strings.TrimSuffix(strings.TrimSuffix(key, "/v1"), "/v2")
	host, path, nested := strings.Cut(key, "/")
	if host == "index.docker.io" || host == "registry-1.docker.io" {
		host = "docker.io"
	}
	if nested {
		return host + "/" + path
	}
	return host
}
