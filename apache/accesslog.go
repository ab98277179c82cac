package apache

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"syscall"
	"time"
)

// AccessQuery says which requests are wanted.
type AccessQuery struct {
	Host   string
	Lines  int       // the last ones; negative: all
	Since  time.Time // those that came then or later; zero: all
	Follow bool      // and whatever comes, too
}

// accessPoll is how long a follower waits before it looks again.
const accessPoll = 300 * time.Millisecond

// ReadAccessLog passes on the lines of the log of all apps' requests that are of
// one host, without that host, the oldest first. What logrotate has put aside
// (FILE.1, FILE.2.gz …) is a part of the log. With q.Follow it goes on, from one
// file to the next, until ctx ends, which is then no error.
func ReadAccessLog(ctx context.Context, path string, q AccessQuery, each func(line []byte) error) error {
	all, err := openLogs(path)
	if err != nil {
		return err
	}
	defer func() {
		for _, log := range all {
			log.file.Close()
		}
	}()
	if err := q.readSoFar(ctx, all, each); err != nil || !q.Follow {
		return err
	}
	return q.follow(ctx, path, all[len(all)-1], each)
}

// accessLog is one of the files. It remembers how far it was read.
type accessLog struct {
	file *os.File
	r    *bufio.Reader
	line []byte // the beginning of one that is not whole yet
}

func newAccessLog(file *os.File, r io.Reader) *accessLog {
	return &accessLog{file: file, r: bufio.NewReaderSize(r, 64<<10)}
}

// openLogs opens what there is, the oldest first. The newest is opened first: a file
// that logrotate renames meanwhile is then found twice, and counted once.
func openLogs(path string) (all []*accessLog, err error) {
	missing := 0
	for n := 0; missing < 2; n++ { // the log itself may be about to be made anew
		log, err := openGeneration(path, n)
		if errors.Is(err, fs.ErrNotExist) {
			missing++
			continue
		}
		if err != nil {
			for _, log := range all {
				log.file.Close()
			}
			return nil, err
		}
		if len(all) > 0 && sameFile(log.file, all[0].file) {
			log.file.Close()
			continue
		}
		all = append([]*accessLog{log}, all...)
	}
	if len(all) == 0 {
		return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ENOENT}
	}
	return all, nil
}

// openGeneration opens the log that was rotated n times.
func openGeneration(path string, n int) (*accessLog, error) {
	if n > 0 {
		path = fmt.Sprintf("%s.%d", path, n)
	}
	file, err := os.Open(path)
	if err == nil {
		return newAccessLog(file, file), nil
	}
	if n == 0 || !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if file, err = os.Open(path + ".gz"); err != nil {
		return nil, err
	}
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("read %s.gz: %w", path, err)
	}
	return newAccessLog(file, unzipped), nil
}

func sameFile(a, b *os.File) bool {
	infoA, errA := a.Stat()
	infoB, errB := b.Stat()
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// readSoFar passes on what is wanted of what was written so far.
func (q AccessQuery) readSoFar(ctx context.Context, all []*accessLog, each func([]byte) error) error {
	if q.Lines < 0 {
		for _, log := range all {
			if err := q.read(ctx, log, each); err != nil {
				return err
			}
		}
		return nil
	}
	var last [][]byte
	for i := len(all) - 1; i >= 0 && (len(last) < q.Lines || i == len(all)-1); i-- {
		var lines [][]byte
		err := q.read(ctx, all[i], func(line []byte) error {
			lines = append(lines, bytes.Clone(line))
			if len(lines) > 2*q.Lines { // so that they are seldom moved
				lines = append(lines[:0], lines[len(lines)-q.Lines:]...)
			}
			return nil
		})
		if err != nil {
			return err
		}
		last = append(lines, last...)
	}
	for _, line := range last[max(0, len(last)-q.Lines):] {
		if err := each(line); err != nil {
			return err
		}
	}
	return nil
}

// read passes on the whole lines that are wanted, from where the log was left.
func (q AccessQuery) read(ctx context.Context, log *accessLog, each func([]byte) error) error {
	host := []byte(q.Host + " ")
	for {
		more, err := log.r.ReadSlice('\n')
		log.line = append(log.line, more...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read %s: %w", log.file.Name(), err)
		case ctx.Err() != nil:
			return ctx.Err()
		}
		if line, of := bytes.CutPrefix(log.line, host); of && q.recent(line) {
			if err := each(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
				return err
			}
		}
		log.line = log.line[:0]
	}
}

// requestTime is Apache's %t.
var requestTime = regexp.MustCompile(`\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\]`)

// recent tells whether the request came when it is wanted. Of one without a time
// nobody knows.
func (q AccessQuery) recent(line []byte) bool {
	found := requestTime.FindSubmatch(line)
	if q.Since.IsZero() || found == nil {
		return true
	}
	came, err := time.Parse("02/Jan/2006:15:04:05 -0700", string(found[1]))
	return err != nil || !came.Before(q.Since.Truncate(time.Second))
}

// follow passes on what comes, beginning where the last of the logs was left. After
// a rotation some processes of Apache still write to the file before, so both are read.
func (q AccessQuery) follow(ctx context.Context, path string, last *accessLog, each func([]byte) error) error {
	logs := []*accessLog{last}
	defer func() {
		for _, log := range logs {
			log.file.Close()
		}
	}()
	for {
		for _, log := range logs {
			if err := q.read(ctx, log, each); err != nil && ctx.Err() == nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(accessPoll):
		}
		next, err := logs[len(logs)-1].successor(path)
		if err != nil {
			return err
		}
		if next != nil {
			logs = append(logs, next)
		}
		if len(logs) > 2 {
			logs[0].file.Close()
			logs = logs[1:]
		}
	}
}

// successor opens the file that has taken the log's place; nil: none has. A file
// that was emptied is read from its beginning.
func (l *accessLog) successor(path string) (*accessLog, error) {
	there, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // about to be made
	}
	if err != nil {
		return nil, err
	}
	if mine, err := l.file.Stat(); err != nil || !os.SameFile(there, mine) {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		return newAccessLog(file, file), nil
	}
	if at, err := l.file.Seek(0, io.SeekCurrent); err == nil && there.Size() < at {
		if _, err := l.file.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		l.r.Reset(l.file)
		l.line = nil
	}
	return nil, nil
}
