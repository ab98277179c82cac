package pages

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"
)

// writeMetrics replaces the file for node exporter's textfile collector, which
// reads whatever ends in .prom: a file half written does not. Its directory is the
// administrator's.
func writeMetrics(file string, content []byte) error {
	info, err := os.Lstat(file)
	if err == nil && info.Mode().IsRegular() {
		if present, err := os.ReadFile(file); err == nil && bytes.Equal(present, content) {
			return nil
		}
	}
	if err := renameio.WriteFile(file, content, 0o644, everybody, renameio.WithTempDir(filepath.Dir(file))); err != nil {
		return fmt.Errorf("write metrics: %w", err)
	}
	return nil
}

// metrics are in Prometheus's text format:
// https://prometheus.io/docs/instrumenting/exposition_formats/
func metrics(apps []app, ended int) []byte {
	var m exposition
	m.gauge("review_executor_apps", "Review apps by state.")
	count := countStates(apps)
	for _, state := range states {
		m.sample("review_executor_apps", int64(count[state]), "state", state)
	}
	m.gauge("review_executor_app_info", "What a review app is of; always 1.")
	for _, a := range apps {
		m.sample("review_executor_app_info", 1, "app", a.Name, "project", a.Project, "state", a.State)
	}
	m.gauge("review_executor_app_deployed_timestamp_seconds", "When the app's version began to serve.")
	for _, a := range apps {
		if !a.Deployed.IsZero() {
			m.sample("review_executor_app_deployed_timestamp_seconds", a.Deployed.Unix(), "app", a.Name)
		}
	}
	m.gauge("review_executor_app_expires_timestamp_seconds", "When the app ends by itself.")
	for _, a := range apps {
		if !a.Expires.IsZero() {
			m.sample("review_executor_app_expires_timestamp_seconds", a.Expires.Unix(), "app", a.Name)
		}
	}
	m.gauge("review_executor_deploys_failed", "Apps whose last deploy failed.")
	failed := 0
	for _, a := range apps {
		if a.LastFailure != nil {
			failed++
		}
	}
	m.sample("review_executor_deploys_failed", int64(failed))
	m.gauge("review_executor_ended_apps", "Apps that have ended and are remembered.")
	m.sample("review_executor_ended_apps", int64(ended))
	return m.Bytes()
}

// exposition is text in Prometheus's format.
type exposition struct{ bytes.Buffer }

func (m *exposition) gauge(name, help string) {
	fmt.Fprintf(m, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name)
}

var escapeLabel = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// sample writes a value with labels, each a name and its value.
func (m *exposition) sample(name string, value int64, labels ...string) {
	m.WriteString(name)
	separator := "{"
	for i := 0; i < len(labels); i += 2 {
		m.WriteString(separator + labels[i] + `="` + escapeLabel.Replace(strings.ToValidUTF8(labels[i+1], "?")) + `"`)
		separator = ","
	}
	if len(labels) > 0 {
		m.WriteString("}")
	}
	m.WriteString(" " + strconv.FormatInt(value, 10) + "\n")
}
