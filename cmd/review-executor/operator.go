package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/coreos/go-systemd/v22/journal"
	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
)

// operatorLog is what the host's administrator reads. It goes to the journal if
// there is one. Without one only warnings go to stderr, because that is the job
// log.
func operatorLog(cmd *cobra.Command) *logrus.Logger {
	log := logrus.New()
	log.SetOutput(cmd.ErrOrStderr())
	log.SetFormatter(&logrus.TextFormatter{DisableColors: true, FullTimestamp: true})
	verbose, _ := cmd.Flags().GetBool("verbose") // it is defined
	if journal.Enabled() {
		log.AddHook(journalHook{})
		if !verbose {
			log.SetOutput(io.Discard)
		}
	} else if !verbose {
		log.SetLevel(logrus.WarnLevel)
	}
	return log
}

// journalHook sends entries to the journal with their fields: "journalctl
// JOB=4711" finds those of one job.
type journalHook struct{}

func (journalHook) Levels() []logrus.Level { return logrus.AllLevels }

func (journalHook) Fire(entry *logrus.Entry) error {
	fields := map[string]string{"SYSLOG_IDENTIFIER": "review-executor"}
	for key, value := range entry.Data {
		fields[strings.ToUpper(key)] = fmt.Sprint(value)
	}
	return journal.Send(entry.Message, priority(entry.Level), fields)
}

func priority(level logrus.Level) journal.Priority {
	switch level {
	case logrus.PanicLevel, logrus.FatalLevel, logrus.ErrorLevel:
		return journal.PriErr
	case logrus.WarnLevel:
		return journal.PriWarning
	default:
		return journal.PriInfo
	}
}
