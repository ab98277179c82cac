package executor

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/review"
)

// auths is an auth file with a user of the registry, called after it.
func auths(registry string) string {
	return fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, registry, base64.StdEncoding.EncodeToString([]byte(registry+":s3cret:1")))
}

func TestReadAuths(t *testing.T) {
	for data, want := range map[string][]Credential{
		"":              nil,
		" \n":           nil,
		"{}":            nil,
		`{"auths": {}}`: nil,
		`{"auths": {"a.example": {"auth": "dTpwOnE="}}}`:                   {{"a.example", "u", "p:q"}},
		`{"auths": {"a.example": {"username": "u", "password": "p"}}}`:     {{"a.example", "u", "p"}},
		`{"auths": {"a.example": {"auth": "dTpwOnE=", "username": "no"}}}`: {{"a.example", "u", "p:q"}},
		`{"auths": {"a.example": {"auth": "dTpwAA=="}}}`:                   {{"a.example", "u", "p"}},
		`{"auths": {"a.example": {}}}`:                                     {{"a.example", "", ""}}, // as Docker writes it beside a credsStore
	} {
		got, helpers, err := readAuths([]byte(data))
		if err != nil || helpers {
			t.Errorf("%s: helpers %t, %v", data, helpers, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", data, diff)
		}
	}
}

func TestCredentials_LongestPathOfTheFirstSourceThatMatches(t *testing.T) {
	c := credentials{
		{
			{URL: "registry.example.org", Username: "all"}, {URL: "registry.example.org/group/shop", Username: "shop"},
			{URL: "https://index.docker.io/v1/", Username: "hub"}, {URL: "HTTPS://Other.example.org:5050/", Username: "other"},
		},
		{{URL: "registry.example.org/group/shop/api", Username: "api"}, {URL: "quay.io/group", Username: "group"}, {URL: "", Username: "nobody"}},
		{{URL: "https://gitlab.example.org/v2/", Username: "job"}, {URL: "quay.io", Username: "job"}},
	}
	for image, want := range map[string]string{
		"registry.example.org/tools/go":           "all",
		"registry.example.org/group/shop":         "shop",
		"registry.example.org/group/shop/api:1":   "shop", // the first source knows it
		"registry.example.org/group/shop-2:1":     "all",
		"registry.example.org:5000/group/shop":    "",
		"registry.example.org.evil.example/shop":  "",
		"alpine:3":                                "hub",
		"docker.io/group/app":                     "hub",
		"other.example.org:5050/shop@" + someHash: "other",
		"quay.io/group/app":                       "group",
		"quay.io/groups/app":                      "job",
		"gitlab.example.org/group/app":            "job",
		"localhost/review/app":                    "",
		"NOT a name":                              "",
		"":                                        "",
	} {
		if got, _ := c.of(image); got != want {
			t.Errorf("%s: user %q, want %q", image, got, want)
		}
	}
}

const someHash = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

// fileHome writes files below a directory of their own and returns it.
func fileHome(t *testing.T, files map[string]string) string {
	t.Helper()
	home := t.TempDir()
	for name, text := range files {
		file := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return home
}

func TestCredentials_SourcesInTheDockerExecutorsOrder(t *testing.T) {
	home := fileHome(t, map[string]string{
		"given.json":                   auths("given.example"),
		"run/containers/auth.json":     auths("run.example"),
		".config/containers/auth.json": auths("config.example"),
		".docker/config.json":          auths("docker.example"),
		"bare/.docker/config.json":     auths("docker.example"),
		"empty/containers/auth.json":   "",
	})
	for _, test := range []struct {
		env  map[string]string
		user string // of the image of the same name; the first that exists counts
	}{
		{map[string]string{"REGISTRY_AUTH_FILE": home + "/given.json", "XDG_RUNTIME_DIR": home + "/run", "HOME": home}, "given.example"},
		{map[string]string{"REGISTRY_AUTH_FILE": home + "/gone.json", "XDG_RUNTIME_DIR": home + "/run", "HOME": home}, "run.example"},
		{map[string]string{"XDG_RUNTIME_DIR": home + "/gone", "HOME": home}, "config.example"},
		{map[string]string{"HOME": home + "/bare"}, "docker.example"},
		{map[string]string{"XDG_RUNTIME_DIR": home + "/empty", "HOME": home}, "job"}, // it is there, with nobody
		{map[string]string{}, "job"},
	} {
		var log bytes.Buffer
		e := &Executor{Env: test.env, Stdout: &log}
		c, err := e.credentials(Job{Credentials: []Credential{{"job", "job", "token"}, {"given.example", "job", "token"}, {"docker.example", "job", "token"}}})
		if err != nil {
			t.Fatal(err)
		}
		image := test.user + "/app"
		if test.user == "job" {
			image = "docker.example/app"
		}
		if got, _ := c.of(image); got != test.user {
			t.Errorf("%v: user %q, want %q", test.env, got, test.user)
		}

		test.env["CUSTOM_ENV_DOCKER_AUTH_CONFIG"] = `{"auths": {"` + strings.TrimSuffix(image, "/app") + `": {"username": "variable", "password": "p"}}}`
		if c, err = e.credentials(Job{}); err != nil {
			t.Fatal(err)
		}
		if got, _ := c.of(image); got != "variable" {
			t.Errorf("%v: user %q, want the variable's", test.env, got)
		}
		if log.Len() != 0 {
			t.Errorf("the job log says %q", log.String())
		}
	}
}

func TestCredentials_HelpersAreNotRunAndThatIsSaid(t *testing.T) {
	for _, text := range []string{`{"credsStore": "evil"}`, `{"credHelpers": {"a.example": "evil"}}`} {
		var log bytes.Buffer
		e := &Executor{Env: map[string]string{"CUSTOM_ENV_DOCKER_AUTH_CONFIG": text}, Stdout: &log}
		if _, err := e.credentials(Job{}); err != nil {
			t.Fatal(err)
		}
		if want := "WARNING: credsStore and credHelpers of DOCKER_AUTH_CONFIG are ignored: they would run programs on the host\n"; log.String() != want {
			t.Errorf("%s: the job log says %q, want %q", text, log.String(), want)
		}
	}
}

func TestCredentials_BrokenSourceIsNamedAndNotRepeated(t *testing.T) {
	for _, text := range []string{
		"hunter2", `{"auths": {"a.example": "hunter2"}}`, `{"auths": {"a.example": {"auth": "hunter2"}}}`,
		`{"auths": {"a.example": {"auth": "aHVudGVyMg=="}}}`, `{"auths": {"a.example": {"username": 123456}}}`,
	} {
		home := fileHome(t, map[string]string{".docker/config.json": text})
		for what, test := range map[string]struct {
			env  map[string]string
			kind review.Kind
		}{
			"variable DOCKER_AUTH_CONFIG":      {map[string]string{"CUSTOM_ENV_DOCKER_AUTH_CONFIG": text}, review.Build},
			"file " + home + "/.docker/config": {map[string]string{"HOME": home}, review.System},
		} {
			_, err := (&Executor{Env: test.env, Stdout: &bytes.Buffer{}}).credentials(Job{})
			if err == nil {
				t.Fatalf("%s was accepted", text)
			}
			f := review.AsFailure(err)
			if f.Kind != test.kind || !strings.Contains(f.Text(), what) {
				t.Errorf("%s: kind %d, and it says\n%s", text, f.Kind, f.Text())
			}
			for _, secret := range []string{"hunter2", "aHVudGVyMg", "123456"} {
				if strings.Contains(f.Text(), secret) {
					t.Errorf("it repeats %q:\n%s", text, f.Text())
				}
			}
		}
	}
}

func FuzzCredentials(f *testing.F) {
	f.Add(auths("registry.example.org/group"), "registry.example.org/group/app:1")
	f.Add(auths("https://index.docker.io/v1/"), "alpine:3")
	f.Add(`{"auths": {"a.example": {"username": "u", "password": "p"}}}`, "a.example/b")
	f.Add(`{"auths": {"": {"auth": "Og=="}, "/": {"username": "u"}, "https:///v1/": {"username": "u"}}}`, "alpine")
	f.Add(`{"credsStore": "x", "credHelpers": {"a": "b"}}`, "UPPER")
	f.Fuzz(func(t *testing.T, text, image string) {
		found, _, err := readAuths([]byte(text))
		if err != nil {
			return
		}
		username, password := credentials{found}.of(image)
		if username == "" && password != "" {
			t.Errorf("a password %q of nobody", password)
		}
		if username == "" {
			return
		}
		name := strings.ToLower(image)
		for _, c := range found {
			key := registryKey(c.URL)
			host, _, _ := strings.Cut(key, "/")
			named := strings.HasPrefix(name, key+"/") || strings.HasPrefix(name, key+":") || strings.HasPrefix(name, key+"@") || name == key
			if c.Username == username && c.Password == password && key != "" && (named || host == "docker.io") {
				return
			}
		}
		t.Errorf("%q for image %q is of no registry that it names", username, image)
	})
}
