package main

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// caching makes the job one with "cache:". What it leaves goes when the test ends.
func (j *driverJob) caching() *driverJob {
	j.response = object{"cache": []object{{"key": "default", "paths": []string{"vendor"}}}}
	return j
}

// newCachingJob is newDriverJob for one with "cache:".
func newCachingJob(t *testing.T) *driverJob {
	t.Helper()
	t.Cleanup(func() { nothingLeft(t) })
	t.Cleanup(func() { removeCaches(t) })
	j := makeJob(t)
	t.Cleanup(func() { j.cleaned() })
	return j.caching()
}

func (j *driverJob) protected(protected bool) *driverJob {
	j.response["git_info"] = object{"ref": "main", "sha": strings.Repeat("3f2c1a9f", 5), "protected": protected}
	return j
}

func TestConformance_LaterJobFindsTheCache(t *testing.T) {
	j := newCachingJob(t).prepared()
	j.run("archive_cache", "mkdir /cache/group; echo of the first >/cache/group/file").succeeded(t)
	j.stage("cleanup").succeeded(t)
	later := j.another().caching().prepared()
	for _, stage := range []string{"restore_cache", "build_script"} {
		later.run(stage, "cat /cache/group/file; echo more >>/cache/group/file").succeeded(t).says(t, "of the first\n")
	}
	later.run("archive_cache", "rm -r /cache/group").succeeded(t)
}

func TestConformance_JobsAtOnceHaveCachesOfTheirOwn(t *testing.T) {
	j := newCachingJob(t)
	jobs := []*driverJob{j, j.another().caching(), j.another().caching()}
	var group sync.WaitGroup
	for _, j := range jobs {
		group.Go(func() { j.stage("prepare").succeeded(t) })
	}
	group.Wait()
	for _, j := range jobs {
		j.run("archive_cache", fmt.Sprintf("test ! -e /cache/file; echo %d >/cache/file", j.id)).succeeded(t)
	}
	for _, j := range jobs {
		j.run("build_script", "cat /cache/file").succeeded(t).says(t, fmt.Sprintf("%d\n", j.id))
	}
	for _, j := range jobs {
		j.stage("cleanup").succeeded(t)
	}
	j.another().caching().prepared().run("restore_cache", "cat /cache/file").succeeded(t)
	if caches := strings.Fields(host.Podman(t, "volume", "ls", "--filter", "label=review-executor.role=cache", "--format", "{{.Name}}")); len(caches) != len(jobs) {
		t.Errorf("caches %v", caches)
	}
}

func TestConformance_ProtectedAndOtherBranchesShareNoCache(t *testing.T) {
	j := newCachingJob(t)
	for _, protected := range []bool{false, true, false, true} {
		next := j.another().caching().protected(protected).prepared()
		next.run("restore_cache", fmt.Sprintf("test ! -e /cache/%t; echo >/cache/%t", !protected, protected)).succeeded(t)
		next.stage("cleanup").succeeded(t)
	}
}

func TestConformance_ProjectsShareNoCache(t *testing.T) {
	j := newCachingJob(t).prepared()
	j.run("archive_cache", "echo of this project >/cache/file").succeeded(t)
	j.stage("cleanup").succeeded(t)
	other := j.another().caching()
	other.project, other.vars = 8, []string{"CI_PROJECT_ID=8"}
	other.prepared().run("restore_cache", "test ! -e /cache/file").succeeded(t)
}

func TestConformance_CacheIsWritableWhateverUserTheImageHas(t *testing.T) {
	j := newCachingJob(t)
	image := func(user string) string {
		name := j.newImage("FROM " + busybox + "\nUSER " + user + "\n")
		return name
	}
	t.Cleanup(func() {
		for _, args := range j.after {
			host.Podman(t, args...)
		}
	})
	images := []string{image("1000"), busybox, image("65534")}
	for _, image := range images {
		next := j.another().caching()
		next.image = image
		next.prepared()
		next.run("restore_cache", "cat /cache/helper /cache/job || test ! -e /cache/helper; echo >>/cache/helper").succeeded(t)
		next.run("build_script", "cat /cache/helper; echo >>/cache/helper; touch /cache/new-$(id -u)").succeeded(t)
		next.run("archive_cache", "echo >>/cache/job; rm -f /cache/new-*").succeeded(t)
		next.stage("cleanup").succeeded(t)
	}
}

func TestConformance_JobWithoutCacheHasNoVolumeForIt(t *testing.T) {
	j := newDriverJob(t).prepared()
	j.run("build_script", "test ! -e /cache").succeeded(t)
	if volumes := host.Podman(t, "volume", "ls", "--format", "{{.Name}}"); volumes != fmt.Sprintf("review-job-%d", j.id) {
		t.Errorf("volumes %s", volumes)
	}
}
