// Package userfile reads the small files that a user names, and says what to do about a file
// that cannot be read.
package userfile

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Read reads an ordinary file of at most mib MiB. Its errors name the file, and say what to do.
// holds is what the file is to hold, for them.
func Read(path, holds string, mib int) ([]byte, error) {
	text, err := read(path, holds, mib)
	if why := Reason(err); why != err {
		return nil, fmt.Errorf("%s: %w", path, why)
	}
	return text, err
}

func read(path, holds string, mib int) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not an ordinary file; name the file with %s", path, holds)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, int64(mib)<<20+1))
	if err == nil && len(text) > mib<<20 {
		return nil, fmt.Errorf("%s is too long for %s, which take %d MiB at the most; name another file", path, holds, mib)
	}
	return text, err
}

// Reason is the system's error without the path, with what to do about it. It returns other
// errors as they are.
func Reason(err error) error {
	var of *os.PathError
	if !errors.As(err, &of) {
		return err
	}
	for _, known := range []struct {
		err error
		do  string
	}{
		{os.ErrNotExist, "correct the path"},
		{os.ErrPermission, "let the user that netmirror runs as read it"},
		{unix.EISDIR, "name the files in it"},
	} {
		if errors.Is(of.Err, known.err) {
			return fmt.Errorf("%w; %s", of.Err, known.do)
		}
	}
	return of.Err
}
