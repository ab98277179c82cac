package review_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"gitlab.com/review-executor/review-executor/review"
)

const (
	interleavings = 200 // every fourth with a supervisor
	modelApps     = 5
	actorsAtOnce  = 4
	actorsInAll   = 14
)

// TestModel_RandomInterleavingsEndAsPredicted has deploys, stops and syncs of five
// apps go on at the same time and be killed, one operation at a time and in an
// order that the seed decides. Run one again by its name.
func TestModel_RandomInterleavingsEndAsPredicted(t *testing.T) {
	review.OneAppAtATime()
	for seed := range uint64(interleavings) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			m := newModel(t, seed)
			if seed%4 == 1 {
				m.supervised()
			}
			m.play()
			m.check()
		})
	}
}

// model predicts what the apps are, from two moments alone: the one when a
// deploy has saved its record, and the one when a stop has marked it.
type model struct {
	*world
	random  *rand.Rand
	actors  []*actor
	current *actor // the one goroutine that does anything
	started int
	looked  int
	live    [modelApps]predicted
	newest  [modelApps]int64 // pipeline
}

type predicted struct {
	release string // "": none
	page    string
}

// actor is a process: one call of Deploy, Stop or Sync.
type actor struct {
	name      string
	app       int // -1: all
	job       int64
	page      string
	resume    chan bool // false: die here
	events    chan string
	dead      bool
	blocked   bool // waits for the app's lock, as only one actor at a time may
	between   bool // of its two calls, so that another may have the lock
	committed bool
	err       error
}

func newModel(t *testing.T, seed uint64) *model {
	m := &model{world: newWorld(t), random: rand.New(rand.NewPCG(seed, 4))}
	m.fault = func(op string) error {
		if op != "front Apply" { // it holds the lock of the front, which everybody needs
			m.yield(op)
		}
		return nil
	}
	m.Done = m.stepDone
	m.Gone = func(owner string) bool {
		for _, a := range m.actors {
			if a.name == owner {
				return false
			}
		}
		return true
	}
	return m
}

// yield lets the scheduler decide who goes on.
func (m *model) yield(event string) {
	a := m.current
	if a == nil {
		return // the final check
	}
	if a.dead {
		runtime.Goexit()
	}
	a.events <- event
	if !<-a.resume {
		a.dead = true
		runtime.Goexit()
	}
}

func (m *model) stepDone(app, step string) {
	a := m.current
	if a == nil {
		return
	}
	switch step {
	case "record":
		m.t.Logf("%s commits", a.name)
		if a.job < m.newest[a.app] {
			m.t.Errorf("%s overwrites pipeline %d", a.name, m.newest[a.app])
		}
		m.newest[a.app] = a.job
		m.live[a.app] = predicted{release: releaseID(a.job), page: a.page}
		a.committed = true
	case "mark as stopping":
		i := appIndex(app)
		m.live[i], m.newest[i] = predicted{}, 0
	}
	m.yield("step " + step)
}

func appName(i int) string { return fmt.Sprintf("app%d", i) }

func appIndex(name string) (i int) {
	_, _ = fmt.Sscanf(name, "app%d", &i)
	return i
}

// play starts actors and lets one after the other do one operation, until all
// are over.
func (m *model) play() {
	for m.started < actorsInAll || len(m.actors) > 0 {
		if m.started < actorsInAll && (len(m.actors) == 0 || len(m.actors) < actorsAtOnce && !m.syncing() && m.random.IntN(10) == 0) {
			m.start()
			continue
		}
		var able []*actor
		for _, a := range m.actors {
			if wait := a.between && (m.syncing() || m.waitsFor(a.app)); !a.blocked && !wait {
				able = append(able, a)
			}
		}
		if len(able) == 0 {
			m.t.Fatal("everybody waits")
		}
		a := able[m.random.IntN(len(able))]
		m.goOn(a, m.random.IntN(60) > 0)
		m.everybodyServes()
	}
	m.current = nil
}

// syncing tells whether a sync goes on, which takes one lock after the other
// without a word: nobody begins to wait for one meanwhile.
func (m *model) syncing() bool {
	return slices.ContainsFunc(m.actors, func(a *actor) bool { return a.app < 0 })
}

func (m *model) waitsFor(app int) bool {
	return slices.ContainsFunc(m.actors, func(a *actor) bool { return a.blocked && a.app == app })
}

func (m *model) start() {
	m.started++
	a := &actor{job: int64(m.started), app: m.random.IntN(modelApps), resume: make(chan bool), events: make(chan string)}
	if m.random.IntN(5) == 0 && m.started > 1 {
		a.job = int64(m.random.IntN(m.started)) + 100*int64(m.started) // another job
	}
	kind := []string{"deploy", "deploy", "deploy", "prepared deploy", "stop", "sync"}[m.random.IntN(6)]
	if kind == "sync" {
		a.app = -1
	}
	if m.waitsFor(a.app) {
		return // one may
	}
	a.name = fmt.Sprintf("%s %d of app %d", kind, a.job, a.app)
	a.page = fmt.Sprintf("page %d", a.job)
	m.actors = append(m.actors, a)
	go func() {
		defer close(a.events)
		if <-a.resume {
			a.err = m.act(a, kind)
		}
	}()
	m.goOn(a, true)
}

func (m *model) act(a *actor, kind string) error {
	ctx, log := context.Background(), review.NewLog(waiting{a})
	job := m.job(a.job, site(a.page))
	job.Environment, job.Pipeline, job.Log, job.Owner = "review/"+appName(max(a.app, 0)), a.job, log, a.name
	switch kind {
	case "sync":
		return m.Sync(ctx, log, review.SyncOptions{})
	case "stop":
		app, err := m.App(job)
		if err != nil {
			return err
		}
		return m.Stop(ctx, app, review.ByJob, log)
	case "prepared deploy":
		job.Companions = []review.Companion{{Name: "db", Image: "base", From: "db", Command: []string{"httpd"}, Aliases: []string{"db"}, Ports: []uint16{1}, User: fmt.Sprint(a.job % 2)}}
		job.CompanionEnvs = map[string]map[string]string{}
		if _, err := m.Prepare(ctx, job); err != nil {
			return err
		}
		job.Prepared = true
		m.yield("between")
	}
	_, err := m.Deploy(ctx, job)
	return err
}

// waiting is a job log that notices when its job has to wait for another, and goes
// on only when that has let go.
type waiting struct{ *actor }

func (w waiting) Write(text []byte) (int, error) {
	if strings.HasPrefix(string(text), "Waiting for another job") {
		w.events <- "blocked"
		<-w.resume
	}
	return len(text), nil
}

// goOn lets an actor go to its next operation, or die where it is.
func (m *model) goOn(a *actor, live bool) {
	m.current = a
	a.resume <- live
	m.await(a)
}

// await returns once the actor has come to its next operation, to a lock that
// another has, or to its end, which lets those go on who waited for it.
func (m *model) await(a *actor) {
	event, more := <-a.events
	a.blocked, a.between = event == "blocked", event == "between"
	if a.between {
		m.wake(a.app)
	}
	if more {
		return
	}
	m.t.Logf("%s is over: %v", a.name, a.err)
	if a.err == nil && !a.dead && strings.Contains(a.name, "deploy") && !a.committed {
		m.t.Errorf("%s says that it has deployed", a.name)
	}
	for i, other := range m.actors {
		if other == a {
			m.actors = append(m.actors[:i:i], m.actors[i+1:]...)
			break
		}
	}
	m.wake(a.app)
}

// wake waits for the actor that gets the app's lock, which was let go.
func (m *model) wake(app int) {
	for _, a := range m.actors {
		if a.blocked && a.app == app {
			m.goOn(a, true)
			return
		}
	}
}

// everybodyServes looks at the host as visitors do: an app that was deployed and
// not stopped answers, whatever goes on and whoever is killed.
func (m *model) everybodyServes() {
	m.t.Helper()
	if m.looked++; m.units != nil && m.looked%8 > 0 {
		return // a socket in between makes a look dear
	}
	current := m.current
	m.current = nil // a request may wake what sleeps
	defer func() { m.current = current }()
	for i, live := range m.live {
		if live.release == "" || m.units != nil && m.units.Busy(appName(i)) {
			continue // or whoever asks waits
		}
		if page := m.front.Get(appName(i) + ".review.example.org"); page == "503" {
			m.t.Errorf("%s does not answer", appName(i))
		}
	}
}

// check has a last sync bring everything to what was predicted.
func (m *model) check() {
	m.fault, m.Done = nil, nil
	m.syncs()
	for i, live := range m.live {
		record, err := m.Records.Load(appName(i))
		if err != nil {
			m.t.Fatal(err)
		}
		got := ""
		if record != nil {
			got = record.Live.ID
		}
		if got != live.release {
			m.t.Errorf("%s is at %q, want %q", appName(i), got, live.release)
		}
		if live.page == "" {
			live.page = "404"
		}
		m.serves(appName(i), live.page)
		m.isWholeApp(appName(i))
	}
}
