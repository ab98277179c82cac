package executor

import (
	"encoding/json"
	"strconv"
)

// driverConfig is the answer to the config stage. Source:
// executors/custom/api/config.go of gitlab-runner.
type driverConfig struct {
	Driver struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	} `json:"driver"`
	BuildsDir         string            `json:"builds_dir"`
	CacheDir          string            `json:"cache_dir"`
	BuildsDirIsShared bool              `json:"builds_dir_is_shared"`
	Shell             string            `json:"shell"`
	JobEnv            map[string]string `json:"job_env"`
}

// Config answers the runner's first question, where things are. Stdout gets
// JSON and nothing else.
func (e *Executor) Config(version string) error {
	job, err := e.job()
	if err != nil {
		return err
	}
	answer := driverConfig{
		BuildsDir: BuildsDir,
		CacheDir:  "/cache",
		Shell:     "bash",
		JobEnv:    map[string]string{jobEnv: strconv.FormatInt(job.ID, 10)},
	}
	answer.Driver.Name = "review-executor"
	answer.Driver.Version = version
	return json.NewEncoder(e.Stdout).Encode(answer)
}
