package container

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/quorate/quorate/internal/license"
)

const (
	keyFileBegin   = "-----BEGIN QUORATE BINDING KEY-----"
	keyFileEnd     = "-----END QUORATE BINDING KEY-----"
	keyFileVersion = 1
	keyFileSum     = 8
	mostKeyFile    = 4 << 10
)

// keyFile is a file without which a container does not open.
type keyFile struct {
	serial license.Serial // of the container, for people
	key    [bindingKeySize]byte
}

// Format keeps the key out of every log and error.
func (keyFile) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "container.keyFile(secret)") }

// encode gives the file's one text form.
func (k keyFile) encode() []byte {
	b := binary.BigEndian.AppendUint16([]byte{keyFileVersion}, k.serial.Mask)
	b = binary.BigEndian.AppendUint64(b, k.serial.Number)
	b = append(b, k.key[:]...)
	sum := sha256.Sum256(b)
	b = append(b, sum[:keyFileSum]...)
	return fmt.Appendf(nil, "%s\nContainer: %s\n%s\n%s\n", keyFileBegin, k.serial, base64.StdEncoding.EncodeToString(b), keyFileEnd)
}

// parseKeyFile reads it. Free are line ends, white space at the end of a line
// and around the whole.
func parseKeyFile(text []byte) (keyFile, bool) {
	var k keyFile
	if len(text) > mostKeyFile {
		return k, false
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \t\r")
	}
	if len(lines) != 4 {
		return k, false
	}
	b, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(b) != 1+2+8+bindingKeySize+keyFileSum {
		return k, false
	}
	k.serial = license.Serial{Mask: binary.BigEndian.Uint16(b[1:]), Number: binary.BigEndian.Uint64(b[3:])}
	copy(k.key[:], b[11:])
	return k, string(k.encode()) == strings.Join(lines, "\n")+"\n"
}

// bindToFile makes the key file. Where there is any file, it stays as it is.
func (o *options) bindToFile(key []byte, serial license.Serial) (l *lock, undo func(), err error) {
	undo = func() {}
	path, err := filepath.Abs(o.keyFile)
	if err != nil {
		return nil, undo, unavailable("the key file could not be created", err)
	}
	if !validPath(path) {
		return nil, undo, license.Errorf(license.CodeInvalidInput, "choose a shorter one", "the path of the key file is not usable")
	}
	k := keyFile{serial: serial}
	if _, err := rand.Read(k.key[:]); err != nil {
		return nil, undo, unavailable("the key file could not be created", err)
	}
	if l, err = bindTo(BindFile, path, key, k.key[:]); err != nil {
		return nil, undo, err
	}
	if err := createKeyFile(path, k.encode()); err != nil {
		return nil, undo, err
	}
	return l, func() { _ = os.Remove(path) }, nil
}

// createKeyFile writes in place: the file systems of removable media know no
// links. The container that needs the file comes after it.
func createKeyFile(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return license.Errorf(license.CodeConflict, "choose another path for the key file, or remove that file if no container needs it", "there is a file at %s already", path)
	case errors.Is(err, fs.ErrNotExist):
		return license.Errorf(license.CodeNotFound, "insert the medium, create the folder, or choose another path", "there is no folder %s for the key file", filepath.Dir(path))
	case err != nil:
		return unavailable(fmt.Sprintf("the key file %s could not be created", path), err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = syncFolder(filepath.Dir(path))
	}
	if err != nil {
		_ = os.Remove(path)
		return unavailable(fmt.Sprintf("the key file %s could not be written", path), err)
	}
	return nil
}

const keyFileFix = "insert the medium that it is on, or tell where it is now with --bind-file"

// unlockWithFile opens a binding with the key file, wherever it lies.
func (o *options) unlockWithFile(b binding) (*lock, error) {
	path := cmp.Or(o.keyFile, b.file)
	text, err := readKeyFile(path)
	if err != nil {
		return nil, err
	}
	defer clear(text)
	k, ok := parseKeyFile(text)
	if !ok {
		return nil, license.Errorf(license.CodeContainerForeign, "restore it from a copy, or have the vendor re-host the licenses on a new container",
			"the container is bound to a key file, and %s is none, or damaged", path)
	}
	key := b.unwrap(k.key[:], 0)
	if key == nil {
		return nil, license.Errorf(license.CodeContainerForeign, keyFileFix, "the container is bound to another key file than %s, which is that of a container %s", path, k.serial)
	}
	return newLock(b, key)
}

func readKeyFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && (!info.Mode().IsRegular() || info.Size() > mostKeyFile) {
		return nil, nil // no key file
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(path)
	}
	switch {
	case err == nil:
		return text, nil
	case errors.Is(err, fs.ErrPermission):
		return nil, license.Errorf(license.CodeForbidden, "run as the owner of the file", "the key file %s can't be read by this user", path)
	case errors.Is(err, fs.ErrNotExist):
		return nil, license.Errorf(license.CodeContainerForeign, keyFileFix, "the container is bound to the key file %s, which is not there", path)
	}
	return nil, unavailable(fmt.Sprintf("the key file %s could not be read", path), err)
}
