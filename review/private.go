package review

import (
	"fmt"
	"io"
	"os"
)

// ReadPrivate reads a file of secrets that has at most limit bytes. A file that
// others than its owner may read or write is refused. Errors do not tell what is
// in it.
func ReadPrivate(file string, limit int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s may be read by others (mode %#o); chmod 600 it", file, info.Mode().Perm())
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", file, limit)
	}
	return data, nil
}
