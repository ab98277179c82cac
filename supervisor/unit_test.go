package supervisor

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/unit"
	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/review"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func testSystemd(t testing.TB) *Systemd {
	dir := t.TempDir()
	return &Systemd{Executable: "/usr/bin/review-executor", Config: "/etc/review-executor/config.toml", UnitDir: filepath.Join(dir, "units"), RuntimeDir: dir}
}

func login(sleepAfter review.SleepAfter) review.Unit {
	return review.Unit{App: "login-form", Release: "3f2c1a9-4711", SleepAfter: sleepAfter, StopGrace: 20 * time.Second}
}

func TestRender_GoldenFiles(t *testing.T) {
	for dir, u := range map[string]review.Unit{"sleeps": login(review.SleepAfter(time.Hour)), "never": login(review.Never)} {
		rendered, err := testSystemd(t).render(u, 20123)
		if err != nil {
			t.Fatal(err)
		}
		for name, got := range rendered {
			file := filepath.Join("testdata", dir, name)
			if *update {
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
		}
	}
}

func TestRender_RefusesWhatIsNoName(t *testing.T) {
	good := login(review.Never)
	for name, spoil := range map[string]func(*review.Unit, *Systemd){
		"no app":            func(u *review.Unit, _ *Systemd) { u.App = "" },
		"a path":            func(u *review.Unit, _ *Systemd) { u.App = "../login" },
		"a line":            func(u *review.Unit, _ *Systemd) { u.App = "login\nExecStart=/bin/sh" },
		"a specifier":       func(u *review.Unit, _ *Systemd) { u.Release = "%h" },
		"no release":        func(u *review.Unit, _ *Systemd) { u.Release = "" },
		"a release's line":  func(u *review.Unit, _ *Systemd) { u.Release = "r1\n" },
		"an option":         func(u *review.Unit, _ *Systemd) { u.Release = "--help" },
		"no time":           func(u *review.Unit, _ *Systemd) { u.SleepAfter = 0 },
		"less than nothing": func(u *review.Unit, _ *Systemd) { u.SleepAfter = -2 },
		"relative program":  func(_ *review.Unit, s *Systemd) { s.Executable = "review-executor" },
		"no configuration":  func(_ *review.Unit, s *Systemd) { s.Config = "" },
		"a broken path":     func(_ *review.Unit, s *Systemd) { s.Config = "/etc/a\nb" },
		"no home":           func(_ *review.Unit, s *Systemd) { s.UnitDir = ".config/systemd/user" },
	} {
		u, s := good, testSystemd(t)
		spoil(&u, s)
		if files, err := s.render(u, 20123); err == nil {
			t.Errorf("%s is taken: %v", name, files)
		}
	}
}

func TestVersionOf(t *testing.T) {
	for text, want := range map[string]int{`"257.9-1~deb13u1"`: 257, `"252 (252.39-1~deb12u1)"`: 252, `"v258~rc1"`: 258, `""`: 0} {
		if got := versionOf(text); got != want {
			t.Errorf("%s is %d, want %d", text, got, want)
		}
	}
}

// FuzzRender reads what was rendered as systemd would: whatever is taken makes
// exactly the sections and options of a harmless unit.
func FuzzRender(f *testing.F) {
	f.Add("login", "3f2c1a9-4711", "/usr/bin/review-executor", "/etc/review-executor/config.toml", int64(time.Hour), uint16(20123))
	f.Add("login", "r1", `/a "b/%h/$HOME`, "/etc/x\\\n[Service]\nExecStart=/bin/sh", int64(-1), uint16(1))
	f.Fuzz(func(t *testing.T, app, release, executable, config string, after int64, port uint16) {
		s := &Systemd{Executable: executable, Config: config, UnitDir: "/home/runner/.config/systemd/user"}
		files, err := s.render(review.Unit{App: app, Release: release, SleepAfter: review.SleepAfter(after)}, port)
		if err != nil {
			return
		}
		never := review.SleepAfter(after) == review.Never
		plain, err := testSystemd(t).render(review.Unit{App: "a", Release: "b", SleepAfter: map[bool]review.SleepAfter{true: review.Never, false: review.SleepAfter(time.Hour)}[never]}, 20123)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range []func(string) string{socketUnit, serviceUnit, containerUnit} {
			got, want := shape(t, files[kind(base(app, release))]), shape(t, plain[kind(base("a", "b"))])
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%q %q %q %q (-plain +got):\n%s", app, release, executable, config, diff)
			}
			if of, its, _, ours := parse(files[kind(base(app, release))]); !ours || of != app || its != release {
				t.Errorf("it is read as of %q, %q, %t", of, its, ours)
			}
		}
	})
}

// shape is a unit file without its values.
func shape(t *testing.T, text string) (names []string) {
	t.Helper()
	options, err := unit.DeserializeOptions(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	for _, o := range options {
		names = append(names, o.Section+"."+o.Name)
	}
	return names
}

func TestQuote_NothingMeansMoreThanItself(t *testing.T) {
	got, err := quote(`/a b/%h/$HOME/"x"\`)
	if want := `"/a b/%%h/$$HOME/\"x\"\\"`; err != nil || got != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
}

func TestFiles_ForeignOnesStay(t *testing.T) {
	s := testSystemd(t)
	u := login(review.SleepAfter(time.Hour))
	name := base(u.App, u.Release)
	want, err := s.render(u, 20123)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(s.UnitDir, 0o755); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(s.UnitDir, serviceUnit(name))
	if err := os.WriteFile(foreign, []byte("[Service]\nExecStart=/bin/true\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.write(name, want); err == nil {
		t.Error("a file of somebody else's was overwritten")
	}
	if err := s.remove(name); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(s.UnitDir)
	if err != nil || len(left) != 1 || left[0].Name() != filepath.Base(foreign) {
		t.Errorf("%v is left, %v", left, err)
	}
}

func TestFiles_AreFoundWhateverIsLeftOfThem(t *testing.T) {
	s := testSystemd(t)
	first, second := login(review.SleepAfter(time.Hour)), login(review.Never)
	second.App = "login" // whose names begin as the other's
	for i, u := range []review.Unit{first, second} {
		want, err := s.render(u, uint16(20123+i))
		if err != nil {
			t.Fatal(err)
		}
		name := base(u.App, u.Release)
		if _, err := s.write(name, want); err != nil {
			t.Fatal(err)
		}
		if changed, err := s.write(name, want); changed || err != nil {
			t.Errorf("the same again: %t, %v", changed, err)
		}
		if err := s.enable(name, u.SleepAfter == review.Never); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.found("login")
	if err != nil || len(got) != 1 || got[0] != (written{"login", second.Release, 20124, false}) {
		t.Errorf("of login: %+v, %v", got, err)
	}
	if err := os.Remove(filepath.Join(s.UnitDir, socketUnit(base("login", second.Release)))); err != nil {
		t.Fatal(err)
	}
	if got, err := s.found(""); err != nil || len(got) != 2 || got[0].port != 0 && got[1].port != 0 {
		t.Errorf("of all: %+v, %v", got, err)
	}
	for _, u := range []review.Unit{first, second} {
		if err := s.remove(base(u.App, u.Release)); err != nil {
			t.Fatal(err)
		}
	}
	left, err := filepath.Glob(filepath.Join(s.UnitDir, "*", "*"))
	if err != nil || len(left) != 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

func TestPoint_TakesLoopbackOnly(t *testing.T) {
	s := testSystemd(t)
	for _, address := range []string{"", "10.0.0.1:80", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:80\nX=y"} {
		if err := s.Point("login", "r1", address); err == nil {
			t.Errorf("%q is taken", address)
		}
	}
	if err := s.Point("login", "r1", "127.0.0.1:34817"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(s.addressFile(base("login", "r1")))
	if err != nil || string(got) != "ADDRESS=127.0.0.1:34817\n" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestConnect_WithoutLingerSaysWhatToDo(t *testing.T) {
	_, err := testSystemd(t).Listen(t.Context(), login(review.Never))
	if err == nil || !strings.Contains(review.AsFailure(err).Text(), "loginctl enable-linger") {
		t.Errorf("error %v", err)
	}
}

// TestFound_FilesOfAnotherFormAreStale: of a version of the program that made others, or with
// another configuration.
func TestFound_FilesOfAnotherFormAreStale(t *testing.T) {
	s := testSystemd(t)
	u := login(review.Never)
	want, err := s.render(u, 20123)
	if err != nil {
		t.Fatal(err)
	}
	name := base(u.App, u.Release)
	if _, err := s.write(name, want); err != nil {
		t.Fatal(err)
	}
	stale := func() bool {
		all, err := s.found(u.App)
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		return all[0].stale
	}
	if stale() {
		t.Error("what was just written is stale")
	}
	for _, file := range files(name) {
		older := strings.Replace(want[file], "# form=", "# form=0", 1)
		if err := os.WriteFile(filepath.Join(s.UnitDir, file), []byte(older), 0o644); err != nil {
			t.Fatal(err)
		}
		if !stale() {
			t.Errorf("%s of another form is not stale", file)
		}
		if _, err := s.write(name, want); err != nil {
			t.Fatal(err)
		}
	}
	s.Config = "/etc/other.toml"
	if !stale() {
		t.Error("another configuration's are not stale")
	}
}
