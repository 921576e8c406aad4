package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/quorate/quorate/internal/license"
)

// ParseTime reads a day, which begins at midnight UTC, or a time.
func ParseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, license.Errorf(license.CodeInvalidInput, "write 2026-12-01, or 2026-12-01T08:00:00Z", "%q is not a date or time", s)
}

// ParseLong reads a duration, of days too: 90d, 36h, 90s. It has whole seconds.
func ParseLong(s string) (time.Duration, error) {
	bad := license.Errorf(license.CodeInvalidInput, "write 90d, 36h or 90s", "%q is not a time in whole seconds", s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, bad
		}
		return time.Duration(n) * 24 * time.Hour, nil //nolint:gosec // G115: of 16 bits
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d%time.Second != 0 {
		return 0, bad
	}
	return d, nil
}

// Long is a duration of a flag, as ParseLong reads it.
type Long time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Long) UnmarshalText(text []byte) error {
	d, err := ParseLong(string(text))
	*l = Long(d)
	return err
}

// ReadData reads a license's data; its errors tell nothing of it.
func ReadData(dir, name string) ([]byte, error) {
	if !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, &license.Error{Code: license.CodeNotFound, Message: fmt.Sprintf("the data file %s can't be read", name), Fix: "name a file of at most 4096 bytes", Err: err}
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, license.MostData+1))
	if err != nil {
		return nil, &license.Error{Code: license.CodeUnavailable, Message: fmt.Sprintf("the data file %s can't be read", name), Fix: "check the file", Err: err}
	}
	if len(b) == 0 || len(b) > license.MostData {
		return nil, license.Errorf(license.CodeInvalidInput, "name a file of 1 to 4096 bytes", "the data file %s is empty or longer", name)
	}
	return b, nil
}

// Printable keeps control characters off the terminal: what an unknown file
// says is anybody's.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// Exists says whether there is something at path.
func Exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Cause leaves out the temporary file's name, which says nothing to people.
func Cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
