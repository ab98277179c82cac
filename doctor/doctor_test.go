package doctor

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sees asserts the level of the first finding, and a part of what was seen.
func sees(t *testing.T, found []Finding, level Level, seen string) {
	t.Helper()
	if len(found) == 0 || found[0].Level != level || !strings.Contains(found[0].Seen, seen) {
		t.Errorf("%+v, want %s and %q", found, level, seen)
	}
}

func TestRun_KeepsTheOrderAndHangsOnNothing(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	found := Run(t.Context(), []Check{
		{"hangs", func(context.Context) []Finding { <-hang; return nil }},
		{"waits", func(ctx context.Context) []Finding { <-ctx.Done(); return warn("gave up") }},
		{"two", func(context.Context) []Finding {
			return append(ok("one"), fail("a\x1b[31m\ntwo", "mend it", "mend \x1b[31m")...)
		}},
	}, 50*time.Millisecond)
	var got []string
	for _, f := range found {
		got = append(got, f.Check+" "+string(f.Level)+" "+f.Seen)
	}
	want := []string{"hangs fail no answer within 50ms", "waits warn gave up", "two ok one", "two fail a?[31m two"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if !slices.Equal(found[3].Mend, []string{"mend it"}) {
		t.Errorf("%q", found[3].Mend)
	}
	if Worst(found) != Fail || Worst(found[1:3]) != Warn || Worst(found[2:3]) != OK || Worst(skip("x")) != OK {
		t.Error("the worst is not found")
	}
}

// What is printed for a shell must be what a shell reads, whatever is in a name.
func TestCommand_IsWhatAShellReads(t *testing.T) {
	words := []string{"printf", "%s\\n", "plain", "two words", "it's", "$HOME `id` \"", "", "*", "-n;", "ü"}
	for _, line := range []string{command(words...), User{Name: "root"}.Command(words...), command("sh", "-c", command(words...))} {
		out, err := exec.Command("sh", "-c", line).Output()
		if want := strings.Join(words[2:], "\n") + "\n"; err != nil || string(out) != want {
			t.Errorf("%s: %q, %v", line, out, err)
		}
	}
}

func TestRuns(t *testing.T) {
	for line, want := range map[string]bool{"systemctl start x": true, "# ask somebody": false, "sensible-editor /etc/x": false, "install /dev/stdin x  # then type": false} {
		if Runs(line) != want {
			t.Error(line)
		}
	}
}

func TestSubIDs(t *testing.T) {
	user := User{Name: "gitlab-runner", UID: 999}
	for text, want := range map[string][2]int64{
		"":                             {0, 1_000_000},
		"gitlab-runner:100000:65536\n": {65536, 1_000_000},
		"999:100000:65536\ngitlab-runner:2000000:65536\n":        {131072, 2_065_536},
		"gitlab-runner-2:100000:65536\n#gitlab-runner:1:65536\n": {0, 1_000_000},
		"gitlab-runner:x:65536\ngitlab-runner:1:-5\nnonsense\n":  {0, 1_000_000},
		"root:5000000:1000000\n":                                 {0, 6_000_000},
	} {
		if count, free := subIDs(text, user); count != want[0] || free != want[1] {
			t.Errorf("%q: %d, %d", text, count, free)
		}
	}
}

func TestRoom(t *testing.T) {
	h := Host{User: User{Name: "gitlab-runner", UID: 999}, Program: "review-executor", ConfigFile: DefaultConfigFile}
	const gib = 1 << 30
	for name, test := range map[string]struct {
		has   space
		level Level
		seen  string
	}{
		"much":                     {space{100 * gib, 50 * gib, 1000, 500}, OK, "50 GiB of 100 GiB"},
		"little":                   {space{100 * gib, 5 * gib, 1000, 500}, Warn, "5.0 GiB of 100 GiB"},
		"a small share of much":    {space{1000 * gib, 50 * gib, 1000, 500}, OK, "50 GiB"},
		"nothing":                  {space{1000 * gib, 20 * gib, 1000, 500}, Fail, "20 GiB"},
		"few inodes":               {space{100 * gib, 50 * gib, 1000, 50}, Warn, "50 of 1000 inodes"},
		"no inodes":                {space{100 * gib, 50 * gib, 1000, 0}, Fail, "0 of 1000 inodes"},
		"as many as there is room": {space{100 * gib, 50 * gib, 0, 0}, OK, "50 GiB"},
	} {
		t.Run(name, func(t *testing.T) { sees(t, h.room("/var", test.has), test.level, test.seen) })
	}
	if found := h.room("/var", space{100 * gib, gib, 1000, 5}); len(found) != 2 || !strings.HasPrefix(found[0].Mend[0], "setsid --wait runuser -u gitlab-runner -- review-executor prune") {
		t.Errorf("%+v", found)
	}
	sees(t, h.Disk(func(context.Context) (string, error) { return t.TempDir() + "/not/yet", nil })(t.Context()), h.Disk(func(context.Context) (string, error) { return "/", nil })(t.Context())[0].Level, "free in")
}

func TestClock(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	sees(t, clock(20*time.Second, at), OK, "within")
	sees(t, clock(-20*time.Second, at), OK, "within")
	sees(t, clock(5*time.Minute, at), Fail, "5m0s ahead of GitLab's (2026-03-02T09:00:00Z)")
	sees(t, clock(-5*time.Minute, at), Fail, "5m0s behind")
}

func TestToken(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		rights Rights
		err    error
		notes  bool
		level  Level
		seen   string
	}{
		"all":             {Rights{Scopes: []string{"api"}}, nil, true, OK, "answers"},
		"an old GitLab":   {Rights{}, nil, true, OK, "answers"},
		"it only reads":   {Rights{Scopes: []string{"read_api"}}, nil, false, Warn, "not stopped in GitLab"},
		"it cannot note":  {Rights{Scopes: []string{"read_api"}}, nil, true, Fail, "gitlab.notes needs api"},
		"it sees nothing": {Rights{Scopes: []string{"read_user"}}, nil, false, Fail, "needs read_api"},
		"it ends soon":    {Rights{Scopes: []string{"api"}, Expires: now.AddDate(0, 0, 5)}, nil, false, Warn, "expires on 2026-03-07"},
		"it ends later":   {Rights{Scopes: []string{"api"}, Expires: now.AddDate(0, 2, 0)}, nil, false, OK, "answers"},
		"no answer":       {Rights{}, errors.New("answered 401"), false, Fail, "answered 401"},
	} {
		t.Run(name, func(t *testing.T) {
			g := GitLab{Host: Host{Now: now}, URL: "https://gitlab.example.org", Notes: test.notes, Ask: func(context.Context) (Rights, error) { return test.rights, test.err }}
			sees(t, g.Token(t.Context()), test.level, test.seen)
		})
	}
	sees(t, GitLab{}.Token(t.Context()), Warn, "not asked")
	sees(t, GitLab{}.Clock(t.Context()), Skip, "no GitLab")
}

func TestDNS(t *testing.T) {
	var asked string
	resolve := func(addresses []string, err error) Resolver {
		return func(_ context.Context, name string) ([]string, error) { asked = name; return addresses, err }
	}
	h := Host{Domain: "review.example.org"}
	sees(t, h.DNS(resolve(nil, errors.New("no such host")))(t.Context()), Fail, "no such host")
	sees(t, h.DNS(resolve(nil, nil))(t.Context()), Fail, "have no address")
	sees(t, h.DNS(resolve([]string{"203.0.113.9"}, nil))(t.Context()), Warn, "203.0.113.9")
	sees(t, h.DNS(resolve([]string{"127.0.0.1"}, nil))(t.Context()), OK, "*.review.example.org")
	before := asked
	h.DNS(resolve(nil, nil))(t.Context())
	if before == asked || !strings.HasSuffix(asked, ".review.example.org") {
		t.Errorf("asked for %s and %s", before, asked)
	}
	sees(t, Host{Domain: "review.localhost"}.DNS(nil)(t.Context()), OK, "always this host")
}

// engine is a Podman that is well.
func engine() Engine {
	return Engine{Version: "5.4.2", Rootless: true, CgroupVersion: "v2", Controllers: []string{"cpu", "memory", "pids"}, Network: "netavark", NetworkVersion: "netavark 1.14.0",
		DNSVersion: "aardvark-dns 1.14.0", Driver: "overlay", NetworkOfOneself: "pasta"}
}

func TestPodman(t *testing.T) {
	limits := map[string]bool{"memory": true, "cpu": true, "pids": true}
	for name, test := range map[string]struct {
		harm  func(*Engine)
		check func(Podman, context.Context) []Finding
		level Level
		seen  string
		mend  string
	}{
		"version":         {func(*Engine) {}, Podman.Version, OK, "5.4.2", ""},
		"an old version":  {func(e *Engine) { e.Version = "4.3.1" }, Podman.Version, Warn, "before 5", "# upgrade"},
		"cgroups":         {func(*Engine) {}, Podman.Cgroups, OK, "enforced", ""},
		"no memory":       {func(e *Engine) { e.Controllers = []string{"cpu", "pids"} }, Podman.Cgroups, Fail, "the memory of", "Delegate=cpu memory pids"},
		"cgroups of v1":   {func(e *Engine) { e.CgroupVersion, e.Controllers = "v1", nil }, Podman.Cgroups, Warn, "version 1", "# boot"},
		"network":         {func(*Engine) {}, Podman.Network, OK, "netavark 1.14.0, aardvark-dns 1.14.0", ""},
		"cni":             {func(e *Engine) { e.Network = "cni" }, Podman.Network, Fail, "is cni", "apt-get install --yes netavark"},
		"no netavark":     {func(e *Engine) { e.NetworkVersion = "" }, Podman.Network, Fail, "netavark is not", "apt-get install --yes netavark"},
		"no aardvark":     {func(e *Engine) { e.DNSVersion = "" }, Podman.Network, Fail, "aardvark-dns is not", "apt-get install --yes aardvark-dns"},
		"no pasta":        {func(e *Engine) { e.NetworkOfOneself = "" }, Podman.Network, Fail, "pasta", "apt-get install --yes passt"},
		"vfs":             {func(e *Engine) { e.Driver = "vfs" }, Podman.Storage, Fail, "of vfs", "# another driver"},
		"the kernel's":    {func(*Engine) {}, Podman.Storage, Warn, "fuse-overlayfs", ""},
		"it is not there": {func(e *Engine) { e.MountProgram = "/nowhere/fuse-overlayfs" }, Podman.Storage, Fail, "is not installed", "apt-get install --yes fuse-overlayfs"},
	} {
		t.Run(name, func(t *testing.T) {
			e := engine()
			test.harm(&e)
			p := Podman{Host: Host{User: User{Name: "gitlab-runner", UID: 999, Home: t.TempDir()}}, Limits: limits, About: func(context.Context) (Engine, error) { return e, nil }}
			found := test.check(p, t.Context())
			sees(t, found, test.level, test.seen)
			if test.mend != "" && (len(found[0].Mend) == 0 || !strings.Contains(found[0].Mend[0], test.mend)) {
				t.Errorf("%q", found[0].Mend)
			}
			p.About = func(context.Context) (Engine, error) { return Engine{}, errors.New("refused") }
			sees(t, test.check(p, t.Context()), Skip, "does not answer")
		})
	}
}

func TestHelperImage(t *testing.T) {
	p := Podman{Host: Host{User: User{Name: "gitlab-runner", UID: 999}}, Helper: "registry.example.org/helper:1"}
	for there, level := range map[bool]Level{true: OK, false: Warn} {
		p.Has = func(context.Context, string) (bool, error) { return there, nil }
		sees(t, p.HelperImage(t.Context()), level, "registry.example.org/helper:1")
	}
	p.Helper = "helper:v{version}"
	sees(t, p.HelperImage(t.Context()), Skip, "version of the runner")
}

func TestHashes(t *testing.T) {
	for hash, want := range map[string]bool{
		"$2y$10$" + strings.Repeat("a", 53): true, "$2y$10$short": false, "$apr1$abcdefgh$" + strings.Repeat("a", 22): true,
		"{SHA}" + strings.Repeat("a", 27) + "=": true, "$6$salt$hash": true, "$y$j9T$salt$hash": true, "secret": false, "": false, "$": false, "{SHA}": false,
	} {
		if hashes.MatchString(hash) != want {
			t.Errorf("%q", hash)
		}
	}
}

// Root runs what is printed. A link that the runner's user has put into its own directory must
// lead it nowhere.
func TestSecrets_FollowNoLinkOfTheUser(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "token")
	if err := os.Symlink("/etc/passwd", file); err != nil {
		t.Fatal(err)
	}
	uid := uint32(os.Getuid())
	h := Host{User: User{Name: "gitlab-runner", UID: uid, GID: uint32(os.Getgid())}}
	found := h.Secrets([]Secret{{"gitlab.token_file", file}})(t.Context())
	sees(t, found, Fail, "is no plain file")
	if len(found[0].Mend) > 0 {
		t.Errorf("%q", found[0].Mend)
	}
	if err := errors.Join(os.Remove(file), os.WriteFile(file, []byte("a-secret"), 0o644), os.Chmod(file, 0o644)); err != nil {
		t.Fatal(err)
	}
	found = h.Secrets([]Secret{{"gitlab.token_file", file}})(t.Context())
	sees(t, found, Fail, "may read")
	if strings.Contains(found[0].Seen, "a-secret") || !strings.Contains(found[0].Mend[0], "--no-dereference") {
		t.Errorf("%+v", found)
	}
}

func TestReadApache(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"apache2.conf":        "ServerRoot \"" + dir + "\"\nIncludeOptional mods-enabled/*.load\n#Include nowhere\n  include conf-enabled\n",
		"mods-enabled/a.load": "LoadModule alias_module /usr/lib/x.so\n",
		"mods-enabled/b.conf": "LoadModule wrong_module /usr/lib/x.so\n",
		"conf-enabled/ours":   "<IfModule !lua_module>\n  LoadModule lua_module /x.so\n</IfModule>\nIncludeOptional \"/var/lib/with space/vhosts/*.conf\"\nInclude " + dir + "/apache2.conf\n",
	} {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readApache(filepath.Join(dir, "apache2.conf"))
	if err != nil || !got.modules["alias"] || !got.modules["lua"] || got.modules["wrong"] {
		t.Errorf("%+v, %v", got, err)
	}
	if !got.reads("/var/lib/with space/vhosts") || got.reads("/var/lib/other") || got.reads("/nowhere") {
		t.Errorf("%q", got.includes)
	}
	if _, err := readApache(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// TestRunnerConfig_IsMended breaks each key, runs what is printed, and looks again.
func TestRunnerConfig_IsMended(t *testing.T) {
	program := filepath.Join(t.TempDir(), "review-executor")
	if err := os.WriteFile(program, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	h := Host{Program: program, ConfigFile: DefaultConfigFile}
	good := "# ours\nconcurrent = 4\n[[runners]]\n  name = \"other\"\n  executor = \"docker\"\n[[runners]]\n  name = \"review\"\n  executor = \"custom\"\n" + h.section() + "\n"
	for name, harm := range map[string]func(string) string{
		"nothing":         func(s string) string { return s },
		"no table":        func(s string) string { before, _, _ := strings.Cut(s, "  [runners.custom]"); return before },
		"no run_exec":     func(s string) string { return strings.ReplaceAll(s, "run_exec", "run_other") },
		"no cleanup_args": func(s string) string { return strings.ReplaceAll(s, "cleanup_args", "x") },
		"wrong args":      func(s string) string { return strings.Replace(s, `["prepare"]`, `["run"]`, 1) },
		"short timeout": func(s string) string {
			return strings.Replace(s, "force_kill_timeout = 200", "force_kill_timeout = 5", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "it's config.toml")
			if err := os.WriteFile(file, []byte(harm(good)), 0o600); err != nil {
				t.Fatal(err)
			}
			found := h.RunnerConfig(file)(t.Context())
			if well := found[0].Level == OK; well != (name == "nothing") {
				t.Fatalf("%+v", found)
			}
			for _, f := range found {
				for _, line := range f.Mend {
					if !Runs(line) {
						t.Fatalf("%+v", f)
					}
					if out, err := exec.Command("sh", "-c", line).CombinedOutput(); err != nil {
						t.Fatalf("%s: %s", line, out)
					}
				}
			}
			sees(t, h.RunnerConfig(file)(t.Context()), OK, "1 runners")
			if text, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(text), "# ours\nconcurrent = 4\n") {
				t.Errorf("%s, %v", text, err)
			}
		})
	}
}

// gitlab-runner, as root, makes its configuration for root alone.
func TestRunnerConfig_IsReadByTheRunnersUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can ask for others")
	}
	dir, err := os.MkdirTemp("/var/tmp", "review-runner.") // others may reach it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	file := filepath.Join(dir, "etc", "config.toml")
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(filepath.Dir(file), 0o700), os.WriteFile(file, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	h := Host{User: User{Name: "nobody", UID: 65534, GID: 65534}, Program: "review-executor", ConfigFile: DefaultConfigFile}
	found := h.RunnerConfig(file)(t.Context())
	sees(t, found, Fail, "nobody may not read "+file)
	if out, err := exec.Command("sh", "-c", found[0].Mend[0]).CombinedOutput(); err != nil {
		t.Fatal(string(out))
	}
	sees(t, h.RunnerConfig(file)(t.Context()), Fail, "has no runner")
}

// Who may start a unit could make one of that name, if its file were not there.
func TestPolkitRules(t *testing.T) {
	start := startRule("gitlab-runner", "front.service", "/usr/lib/systemd/system/front.service")
	for _, part := range []string{`subject.user != "gitlab-runner"`, `action.lookup("unit") != "front.service"`, `action.lookup("verb") != "start"`,
		`polkit.spawn(["/usr/bin/test", "-s", "/usr/lib/systemd/system/front.service"])`, `catch (error) { return polkit.Result.NO; }`} {
		if !strings.Contains(start, part) {
			t.Errorf("%s has no %s", start, part)
		}
	}
	for _, rule := range []string{start, reloadRule("review-front", "apache2.service")} {
		if out, err := exec.Command("sh", "-c", "printf '%s\\n' "+Quote(rule)).Output(); err != nil || string(out) != rule+"\n" {
			t.Errorf("%s, %v", out, err)
		}
	}
}

func TestRead_FollowsNothingOfTheUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give files to others")
	}
	dir := t.TempDir()
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	h := Host{Root: true, User: User{Name: "nobody", UID: 65534, GID: 65534}}
	file := filepath.Join(dir, "htpasswd")
	for name, plant := range map[string]func() error{
		"a link":      func() error { return os.Symlink("/etc/passwd", file) },
		"a pipe":      func() error { return syscall.Mkfifo(file, 0o600) },
		"a directory": func() error { return os.Mkdir(file, 0o700) },
	} {
		if err := plant(); err != nil {
			t.Fatal(err)
		}
		if text, err := h.read(file); err == nil {
			t.Errorf("%s: read %q", name, text)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Truncate(file, 2*most)); err != nil {
		t.Fatal(err)
	}
	if text, err := h.read(file); err != nil || len(text) != most {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

func TestLogDirectory(t *testing.T) {
	dir := t.TempDir()
	a := Apache{Host: Host{User: User{Name: "gitlab-runner", UID: nobody, GID: nobody}}, AccessLog: filepath.Join(dir, "logs", "requests.log")}
	found := a.LogDirectory(t.Context())
	sees(t, found, Fail, "there is no "+dir+"/logs")
	if want := "install -d -o root -g gitlab-runner -m 2750 " + dir + "/logs"; !strings.HasSuffix(found[0].Mend[0], want) {
		t.Errorf("%q", found[0].Mend)
	}
	a.AccessLog = filepath.Join(dir, "requests.log")
	sees(t, a.LogDirectory(t.Context()), OK, dir)
	a.AccessLog = ""
	sees(t, a.LogDirectory(t.Context()), Skip, "not logged")
}

// What ends or removes something is nobody's who does not think.
func TestByHand(t *testing.T) {
	state := t.TempDir()
	e := engine()
	e.Controllers = nil
	p := Podman{Host: Host{StateDir: state, User: User{Name: "gitlab-runner", UID: 999}}, Limits: map[string]bool{"memory": true},
		About: func(context.Context) (Engine, error) { return e, nil }}
	if p.Cgroups(t.Context())[0].ByHand {
		t.Error("there are no apps that could end")
	}
	if err := errors.Join(os.Mkdir(filepath.Join(state, "apps"), 0o700), os.WriteFile(filepath.Join(state, "apps", "shop.json"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if !p.Cgroups(t.Context())[0].ByHand {
		t.Error("apps would end")
	}
	if !clock(time.Hour, time.Now())[0].ByHand {
		t.Error("the clock jumps")
	}
}

func TestLogins_OfOneUser(t *testing.T) {
	file := filepath.Join(t.TempDir(), "htpasswd")
	h := Host{Program: "review-executor", ConfigFile: "/srv/config.toml", User: User{Name: "gitlab-runner", UID: nobody}}
	if h.HasLogin(file, "alice") {
		t.Error("in a file that is not there")
	}
	if err := os.WriteFile(file, []byte("# alice:x\nmalice:x\n bob:x:y\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if h.HasLogin(file, "alice") || !h.HasLogin(file, "bob") || h.HasLogin(file, "") {
		t.Error("others are found")
	}
	if got, want := h.SetLogin(file, "-x"), "review-executor --config /srv/config.toml password set --generate -- -x || "; !strings.HasPrefix(got, want) {
		t.Error(got)
	}
}

func TestHasRunner(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.toml")
	if HasRunner(file) {
		t.Error("in a file that is not there")
	}
	for text, want := range map[string]bool{"": false, "[[runners]]\nexecutor = \"docker\"\n": false, "[[runners]]\nexecutor = \"custom\"\n": true, "nonsense": true} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if HasRunner(file) != want {
			t.Errorf("%q", text)
		}
	}
}

func TestSection_NamesAnotherConfiguration(t *testing.T) {
	h := Host{Program: "/usr/bin/review-executor", ConfigFile: DefaultConfigFile}
	if got := h.StageArgs("run"); !slices.Equal(got, []string{"run"}) {
		t.Errorf("%q", got)
	}
	h.ConfigFile = "/srv/config.toml"
	if got := h.section(); !strings.Contains(got, `run_args = ["--config", "/srv/config.toml", "run"]`) {
		t.Error(got)
	}
}

func TestApps(t *testing.T) {
	a := Apps{
		Host: Host{User: User{Name: "gitlab-runner", UID: 999}, Program: "review-executor", ConfigFile: "/etc/other.toml", StateDir: "/var/lib/x"},
		Damaged: func() (int, map[string]error, error) {
			return 3, map[string]error{"shop": errors.New("is damaged")}, nil
		},
		Silent: func(context.Context) (map[string]error, error) {
			return map[string]error{"a": errors.New("why"), "b": nil, "c": nil, "d": nil, "e": nil, "f": nil}, nil
		},
		Strays: func(context.Context) (map[string][]string, error) {
			return map[string][]string{"old": {"volume x"}}, nil
		},
	}
	sees(t, a.Records(t.Context()), Fail, "shop: is damaged")
	if !a.Records(t.Context())[0].ByHand {
		t.Error("sync would remove the app")
	}
	sees(t, a.Serving(t.Context()), Fail, "6 apps are recorded and not served: a, b, c, d, e and 1 more (why)")
	sees(t, a.Orphans(t.Context()), Warn, "volume x")
	if got := a.Serving(t.Context())[0].Mend[0]; got != "setsid --wait runuser -u gitlab-runner -- review-executor --config /etc/other.toml sync" {
		t.Error(got)
	}
}
