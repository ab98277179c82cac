package main

import (
	"net"
	"os"
	"strings"
	"testing"
)

// web is a service that listens on port 8080.
var web = map[string]any{
	"name": "localhost/review-demo/busybox", "alias": "web", "entrypoint": []string{"httpd", "-f", "-p", "8080", "-h", "/etc"},
	"variables": []map[string]any{{"key": "HEALTHCHECK_TCP_PORT", "value": "8080"}},
}

// reaches tells which of the addresses the job's container can connect to.
func (j *driverJob) reaches(addresses ...string) []string {
	j.t.Helper()
	var script strings.Builder
	for _, a := range addresses {
		name, port, err := net.SplitHostPort(a)
		if err != nil {
			j.t.Fatal(err)
		}
		script.WriteString("timeout 3 bash -c 'exec 3<>/dev/tcp/" + name + "/" + port + "' 2>/dev/null && echo " + a + " &\n")
	}
	return strings.Fields(j.got(script.String() + "wait"))
}

// TestHostile_ReachesNobodyElse tries, from a job, for the host's loopback, the
// Podman service, another job's service, and an app, around Apache and its
// password.
func TestHostile_ReachesNobodyElse(t *testing.T) {
	p := newProject(t, page("another's app"))
	jobs := newJobs(t, 2)
	p.try("main").succeeded(t)
	for _, j := range jobs {
		j.response = map[string]any{"services": []any{web}}
		j.prepared()
	}
	j, victim := jobs[0], jobs[1]
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, loopback, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	app := host.Podman(t, "ps", "--filter", "label=review-executor.app=main", "--format", "{{.Names}}")
	_, published, err := net.SplitHostPort(host.Podman(t, "port", app, "8080/tcp"))
	if err != nil {
		t.Fatal(err)
	}

	own := []string{"web:8080", address(t, j.service(0)) + ":8080"}
	reached := j.reaches(own...)
	for try := 1; len(reached) != len(own) && try < 5; try++ { // a busy resolver may take its time
		reached = j.reaches(own...)
	}
	if len(reached) != len(own) {
		t.Fatalf("of its own service, it reaches %v", reached)
	}
	addresses := []string{
		address(t, victim.service(0)) + ":8080", victim.service(0) + ":8080",
		address(t, app) + ":8080", app + ":8080", "main:8080",
	}
	ways := []string{"127.0.0.1", gateway(t, j.helper()), gateway(t, victim.helper()), gateway(t, app), "host.containers.internal"}
	if os.Getuid() != 0 { // the host's loopback, as pasta and slirp4netns can be told to have it
		ways = append(ways, "169.254.1.2", "10.0.2.2")
	}
	for _, theHost := range ways {
		addresses = append(addresses, theHost+":"+loopback, theHost+":"+published, theHost+":"+host.Port)
	}
	for _, reached := range j.reaches(addresses...) {
		t.Errorf("it reaches %s", reached)
	}

	for _, a := range []string{address(t, victim.service(0)), gateway(t, app), "host.containers.internal"} {
		for _, port := range []string{"8080", loopback} {
			if got := host.Podman(t, "exec", app, "sh", "-c", "nc -w 2 "+a+" "+port+" </dev/null >/dev/null 2>&1 && echo reached; true"); got != "" {
				t.Errorf("the app reaches %s port %s", a, port)
			}
		}
	}
}

// TestHostile_AppsDoNotMeet tries from one app for another.
func TestHostile_AppsDoNotMeet(t *testing.T) {
	p := newProject(t, page("app"))
	p.git("branch", "other")
	p.try("main").succeeded(t)
	p.try("other").succeeded(t)
	newJobs(t, 1)[0].prepared() // see TestHostile_NetworksStayApart
	name := func(app string) string {
		return host.Podman(t, "ps", "--filter", "label=review-executor.app="+app, "--format", "{{.Names}}")
	}
	_, published, err := net.SplitHostPort(host.Podman(t, "port", name("other"), "8080/tcp"))
	if err != nil {
		t.Fatal(err)
	}
	reach := func(address, port string) bool {
		return host.Podman(t, "exec", name("main"), "sh", "-c", "nc -w 2 "+address+" "+port+" </dev/null >/dev/null 2>&1 && echo reached; true") != ""
	}
	if !reach("main", "8080") {
		t.Fatal("it does not reach itself")
	}
	for _, a := range []string{"other", name("other"), address(t, name("other")), gateway(t, name("other")), "host.containers.internal"} {
		for _, port := range []string{"8080", published} {
			if reach(a, port) {
				t.Errorf("main reaches %s port %s", a, port)
			}
		}
	}
}

// TestHostile_VolumesOfOthersAreOutOfSight looks in one job for another's files.
func TestHostile_VolumesOfOthersAreOutOfSight(t *testing.T) {
	jobs := newJobs(t, 2)
	for _, j := range jobs {
		j.prepared()
	}
	jobs[1].run("get_sources", "mkdir -p /builds/group/shop.tmp; echo s3cret-of-the-other >/builds/group/shop.tmp/KEY; chmod 777 /builds/group/shop.tmp/KEY").succeeded(t)
	if found := jobs[1].got("grep -rl s3cret-of-the-other /builds"); found != "/builds/group/shop.tmp/KEY" {
		t.Fatalf("its own job finds it in %q", found)
	}
	volume := host.Podman(t, "volume", "inspect", "--format", "{{.Mountpoint}}", jobs[1].name())
	if found := jobs[0].got("ls " + volume + " /builds/../../" + volume + "; grep -rls s3cret-of-the-other / --exclude-dir=proc --exclude-dir=sys --exclude-dir=usr; grep -s s3cret-of-the-other /proc/[0-9]*/root" + volume + "/group/shop.tmp/KEY"); !strings.Contains(found, "No such file") || strings.Contains(found, "KEY\n") || strings.HasSuffix(found, "KEY") {
		t.Errorf("another job finds %q", found)
	}
}
