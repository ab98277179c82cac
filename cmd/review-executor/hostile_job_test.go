package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// newJobs are n jobs at a time. When the test ends, they are cleaned up and their
// apps are stopped, and nothing may be left on the host.
func newJobs(t *testing.T, n int) []*driverJob {
	t.Helper()
	jobs := make([]*driverJob, n)
	for i := range jobs {
		jobs[i] = makeJob(t)
	}
	t.Cleanup(func() {
		for _, j := range jobs {
			j.t = t
			j.stage("cleanup").succeeded(t)
		}
		for _, app := range appNames(t) {
			runProgram(t, "stop", app).succeeded(t)
		}
		nothingLeft(t)
	})
	return jobs
}

// hostConfig is the host's configuration with texts replaced and more added.
func hostConfig(t *testing.T, more string, oldnew ...string) string {
	t.Helper()
	config, err := os.ReadFile(host.Config())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.toml")
	text := strings.NewReplacer(oldnew...).Replace(string(config)) + more
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// forget removes an image when the test ends, after the jobs that have it.
func forget(t *testing.T, image string, jobs ...*driverJob) {
	t.Helper()
	t.Cleanup(func() {
		for _, j := range jobs {
			j.t = t
			j.stage("cleanup").succeeded(t)
		}
		host.Podman(t, "rmi", "--force", image)
	})
}

// hasImage gives the job an image of its own that the administrator may have made.
func (j *driverJob) hasImage(name, containerfile string) {
	t := j.t
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "Containerfile")
	if err := os.WriteFile(file, []byte(containerfile), 0o600); err != nil {
		t.Fatal(err)
	}
	host.Podman(t, "build", "--quiet", "--tag", name, "--file", file, dir)
	forget(t, name, j)
	j.image = name
}

// inspect asks Podman about a container.
func inspect(t *testing.T, container, format string) string {
	t.Helper()
	return host.Podman(t, "inspect", "--format", format, container)
}

// deploys makes it a job for review/login of a checkout with these files.
func (j *driverJob) deploys(files map[string]string) *driverJob {
	j.t.Helper()
	j.vars = append([]string{"CI_ENVIRONMENT_NAME=review/login", "CI_ENVIRONMENT_ACTION=start"}, j.vars...)
	j.prepared()
	script := "mkdir -p /builds/group/shop; cd /builds/group/shop\n"
	for name, text := range files {
		script += fmt.Sprintf("cat >'%s' <<'END OF FILE'\n%sEND OF FILE\n", name, text)
	}
	j.run("get_sources", script).succeeded(j.t)
	return j
}

func (j *driverJob) name() string   { return fmt.Sprintf("review-job-%d", j.id) }
func (j *driverJob) helper() string { return j.name() + "-helper" }

// service is the name of the job's n-th service, from 0.
func (j *driverJob) service(n int) string { return fmt.Sprintf("%s-service-%d", j.name(), n) }

// got runs a script in the job's container, whatever comes of it, and returns
// what it wrote.
func (j *driverJob) got(script string) string {
	j.t.Helper()
	r := j.run("build_script", "set +e; exec 2>&1; "+script)
	if r.code == systemFailure {
		j.t.Fatalf("%s%s", r.stdout, r.stderr)
	}
	return strings.TrimSpace(r.stdout + r.stderr)
}

// address of a container in its network.
func address(t *testing.T, container string) string {
	t.Helper()
	return strings.Fields(inspect(t, container, "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"))[0]
}

// gateway of a container's network: the host.
func gateway(t *testing.T, container string) string {
	t.Helper()
	return strings.Fields(inspect(t, container, "{{range .NetworkSettings.Networks}}{{.Gateway}} {{end}}"))[0]
}

// printable fails the test if any line could steer a terminal or the job log.
func printable(t *testing.T, text string) {
	t.Helper()
	for _, line := range strings.Split(text, "\n") {
		for _, r := range line {
			if !unicode.IsPrint(r) {
				t.Errorf("a line of ours has %q: %q", r, line)
				break
			}
		}
	}
}
