package apache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"gitlab.com/review-executor/review-executor/review"
)

// checkUnseen looks at what configtest does not see and an Apache that is reloaded
// ends by: a log that it cannot open, a certificate that is none, a key that is
// another's.
func (f *Front) checkUnseen() error {
	if problem := f.logProblem(); problem != nil {
		return f.wouldEnd(fmt.Sprintf("Apache could not write its log %s (apache.access_log)", f.cfg.AccessLog), problem, "make the directory, or name another file")
	}
	if !f.cfg.tls() {
		return nil
	}
	text, err := os.ReadFile(f.cfg.TLSCertificate)
	if err != nil {
		return nil // configtest says it, if Apache cannot read it either
	}
	if _, err := leafOf(text); err != nil {
		return f.wouldEnd("Apache would not start with the certificate", fmt.Errorf("%s %w", f.cfg.TLSCertificate, err), "put the certificate and its chain there, in PEM")
	}
	if problem := keyProblem(text, f.cfg.TLSKey); problem != "" {
		return f.wouldEnd("Apache would not start with the certificate and its key", errors.New(problem), "put a pair there")
	}
	return nil
}

func (f *Front) wouldEnd(what string, cause error, todo string) error {
	return &review.Failure{
		What:  what,
		Cause: cause,
		State: "Apache was not reloaded, and the previous configuration is still serving",
		Hint:  "not your branch: the host's administrator should " + todo,
	}
}

// logProblem tells why the log could not be written. What another user's Apache may
// write there is not for us to know.
func (f *Front) logProblem() error {
	file := f.cfg.AccessLog
	if file == "" {
		return nil
	}
	if info, err := os.Stat(filepath.Dir(file)); errors.Is(err, fs.ErrNotExist) || (err == nil && !info.IsDir()) {
		return errors.New("its directory is missing")
	}
	switch info, err := os.Stat(file); {
	case err == nil && info.IsDir():
		return errors.New("it is a directory")
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Lstat(file); err == nil {
			return errors.New("it is a link to a place that is not there")
		}
	}
	return nil
}
