package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"gitlab.com/review-executor/review-executor/internal/loadtest"
)

// deploy measures a redeploy of an unchanged image whose app is ready at once,
// in turn with what Podman alone takes for it: a build, and a start until the
// first answer.
func (b *bench) deploy() []figure {
	app := b.makeApp()
	b.redeploy(app) // the first fills the cache
	b.failed(b.bareBuild(app))
	var whole, build, bareBuild, overhead []float64
	for range 9 {
		steps := b.redeploy(app)
		image := b.median(1, func() error { return b.bareBuild(app) }) / 1000
		start := b.bareStart()
		whole = append(whole, steps.total())
		build = append(build, steps.image())
		bareBuild = append(bareBuild, image)
		overhead = append(overhead, steps.total()-image-start)
	}
	fmt.Fprintf(os.Stderr, "a deploy takes %.2f s, of which the image %.2f s; a bare build %.2f s\n", median(whole), median(build), median(bareBuild))
	return []figure{
		{Name: "deploy.redeploy_overhead_s", Value: median(overhead), Unit: "s", Goal: 1},
		{Name: "deploy.unchanged_build_s", Value: median(build) - median(bareBuild), Unit: "s", Goal: 0.5},
	}
}

// makeApp makes a git checkout whose image is that of the load test's app and
// one small file.
func (b *bench) makeApp() (dir string) {
	base := filepath.Join(b.host.Dir, "base")
	b.failed(os.Mkdir(base, 0o755))
	b.failed(loadtest.BuildApp(base))
	b.failed(os.WriteFile(filepath.Join(base, "Containerfile"), []byte(loadtest.Containerfile), 0o644))
	b.failed(b.podman("build", "--quiet", "--tag", "localhost/bench/app", base))
	dir = filepath.Join(b.host.Dir, "app")
	b.makeProject(dir, map[string]string{"Containerfile": "FROM localhost/bench/app\nCOPY page /page\n", "page": "hello\n"})
	return dir
}

// bareBuild is "podman build" as one would type it.
func (b *bench) bareBuild(app string) error {
	return b.podman("build", "--quiet", "--tag", "localhost/bench/bare", app)
}

// bareStart is "podman run" until the app's first answer, in seconds.
func (b *bench) bareStart() float64 {
	address := freeAddress()
	took := b.median(1, func() error {
		if err := b.podman("run", "--detach", "--name", "bench-bare", "--publish", address+":8080", "localhost/bench/bare"); err != nil {
			return err
		}
		return answers(address)
	})
	b.failed(b.podman("rm", "--force", "--time", "0", "bench-bare"))
	return took / 1000
}

// podman runs the host's podman command.
func (b *bench) podman(args ...string) error {
	if out, err := exec.Command(filepath.Join(b.host.Dir, "podman"), args...).CombinedOutput(); err != nil {
		return fmt.Errorf("podman %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}
