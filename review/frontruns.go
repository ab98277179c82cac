package review

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// frontRuns counts the runs that changed the front: the last that began, and the
// last that was done, with what was refused in it, or why all of it failed.
type frontRuns struct {
	Begun   int64             `json:"begun"`
	Done    int64             `json:"done"`
	Refused map[string]string `json:"refused,omitempty"`
	Failure *toldFailure      `json:"failure,omitempty"`
}

// toldFailure is a Failure as another process is told it.
type toldFailure struct {
	Kind  Kind     `json:"kind,omitempty"`
	What  string   `json:"what"`
	Cause string   `json:"cause,omitempty"`
	Lines []string `json:"lines,omitempty"`
	State string   `json:"state,omitempty"`
	Hint  string   `json:"hint,omitempty"`
}

func (f *frontRuns) finish(refused map[string]error) {
	f.Done, f.Failure = f.Begun, nil
	f.Refused = map[string]string{}
	for app, why := range refused {
		f.Refused[app] = why.Error()
	}
}

func (f *frontRuns) fail(err error) {
	failed := AsFailure(err)
	told := toldFailure{Kind: failed.Kind, What: failed.What, Lines: failed.Lines, State: failed.State, Hint: failed.Hint}
	if failed.Cause != nil {
		told.Cause = failed.Cause.Error()
	}
	f.Done, f.Refused, f.Failure = f.Begun, nil, &told
}

// outcome is what the last run that was done came to.
func (f frontRuns) outcome() (refused map[string]error, err error) {
	if f.Failure == nil {
		return f.refused(), nil
	}
	failed := &Failure{Kind: f.Failure.Kind, What: f.Failure.What, Lines: f.Failure.Lines, State: f.Failure.State, Hint: f.Failure.Hint}
	if f.Failure.Cause != "" {
		failed.Cause = errors.New(f.Failure.Cause)
	}
	return nil, failed
}

func (f frontRuns) refused() map[string]error {
	refused := map[string]error{}
	for app, why := range f.Refused {
		refused[app] = errors.New(why)
	}
	return refused
}

// readFrontRuns reads the count; one that cannot be read makes nobody skip a run.
func readFrontRuns(file string) frontRuns {
	var runs frontRuns
	data, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(data, &runs) != nil || runs.Done > runs.Begun {
		return frontRuns{}
	}
	return runs
}

// save replaces the file, whose mode is no question of the umask.
func (f frontRuns) save(file string, mode fs.FileMode) error {
	data, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return renameio.WriteFile(file, data, mode, renameio.WithStaticPermissions(mode), renameio.WithTempDir(filepath.Dir(file)))
}

func (r *Records) frontRunsPath() string { return filepath.Join(r.dir, FrontResults) }

// FrontResults is the file in the state directory that tells of the front's runs, where
// no unit does them.
const FrontResults = "front.json"

// FrontRun is what the last run of the front has told.
type FrontRun struct {
	Done    bool             // false: it goes on, or was ended before it could tell
	Refused map[string]error // by app
	Failure error            // why nothing was changed
}

// ParseFrontRun reads a file of the front's runs.
func ParseFrontRun(data []byte) (FrontRun, error) {
	var runs frontRuns
	if err := json.Unmarshal(data, &runs); err != nil {
		return FrontRun{}, err
	}
	run := FrontRun{Done: runs.Done == runs.Begun}
	if run.Done {
		run.Refused, run.Failure = runs.outcome()
	}
	return run, nil
}
