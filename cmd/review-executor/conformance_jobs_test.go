package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
)

// TestConformance_JobsDoNotMeet runs three jobs of one project at once.
func TestConformance_JobsDoNotMeet(t *testing.T) {
	first := newDriverJob(t)
	jobs := []*driverJob{first, first.another(), first.another()}
	each := func(do func(*driverJob) result) {
		t.Helper()
		var group sync.WaitGroup
		results := make([]result, len(jobs))
		for i, j := range jobs {
			group.Go(func() { results[i] = do(j) })
		}
		group.Wait()
		for _, r := range results {
			r.succeeded(t)
		}
	}
	each(func(j *driverJob) result { return j.stage("prepare") })
	each(func(j *driverJob) result { return j.run("get_sources", fmt.Sprintf("echo %d >/builds/mine", j.id)) })
	each(func(j *driverJob) result {
		return j.run("build_script", fmt.Sprintf("test $(cat /builds/mine) = %d; test $(ls /builds | wc -l) = 1; hostname", j.id))
	})
	for _, j := range jobs {
		for _, other := range jobs {
			for _, name := range []string{fmt.Sprintf("review-job-%d-helper", other.id), fmt.Sprintf("review-job-%d", other.id)} {
				if got := j.run("build_script", "getent hosts "+name); other != j && got.code == 0 {
					t.Errorf("job %d finds %s: %s", j.id, name, got.stdout)
				}
			}
		}
	}
	jobs[0].stage("cleanup").succeeded(t)
	jobs[1].run("build_script", "test -e /builds/mine").succeeded(t)
}

// TestConformance_JobsReachNoServerOfAnother has each listen, and a third job
// end: see TestConformance_ServiceIsReachedByItsOwnJobAlone.
func TestConformance_JobsReachNoServerOfAnother(t *testing.T) {
	if os.Getuid() == 0 { // others have networks of their own
		networksStayApart(t)
	}
	j := newDriverJob(t)
	j.image = busybox
	other := j.another()
	j.prepared()
	other.prepared()
	for _, job := range []*driverJob{j, other} {
		job.run("build_script", fmt.Sprintf("mkdir /site; echo %d >/site/index.html; httpd -p 8080 -h /site", job.id)).succeeded(t)
	}
	j.another().prepared().stage("cleanup").succeeded(t)
	addresses := strings.Fields(j.run("build_script", "ip -4 -o addr show | grep -v ' lo ' | sed 's/.*inet \\([0-9.]*\\).*/\\1/'").succeeded(t).stdout)
	for _, address := range append(addresses, "127.0.0.1") {
		script := "timeout 3 wget -q -O - http://" + address + ":8080/"
		j.run("build_script", script).succeeded(t).says(t, fmt.Sprint(j.id))
		if got := other.run("build_script", script); strings.Contains(got.stdout, fmt.Sprint(j.id)) {
			t.Errorf("another job reaches %s: %s", address, got.stdout)
		}
	}
}

func TestConformance_UserNamespacesDiffer(t *testing.T) {
	j := newDriverJob(t).prepared()
	other := j.another().prepared()
	ids := func(j *driverJob, stage string) string {
		return j.run(stage, "cat /proc/self/uid_map").succeeded(t).stdout
	}
	if helper, job := ids(j, "get_sources"), ids(j, "build_script"); helper != job {
		t.Errorf("helper %s job %s", helper, job)
	}
	for _, j := range []*driverJob{j, other} {
		if fields := strings.Fields(ids(j, "build_script")); len(fields) < 3 || fields[1] == "0" {
			t.Errorf("root of job %d is root of the host: %v", j.id, fields)
		}
	}
	if ids(j, "build_script") == ids(other, "build_script") {
		t.Log("both have the same user IDs: this host has not enough subordinate ones")
	}
}
