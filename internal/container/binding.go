package container

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/quorate/quorate/internal/license"
)

// Bind is what a container's file is bound to.
type Bind byte

// What a file can be bound to.
const (
	BindNone    Bind = iota // it opens wherever it lies
	BindMachine             // to two of three traits of a machine
	BindFile                // to a key file, on a medium that can be taken away
)

// Trait is something that a machine is known by. Its value stays out of logs.
type Trait struct {
	Name  string // for people
	Value string `json:"-"` // empty: absent, and then equal to nothing
}

// Format keeps the value out of every log and error.
func (t Trait) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "container.Trait("+t.Name+")") }

// Option tells Create and Open where they are.
type Option func(*options)

type options struct {
	traits  func() [3]Trait // nil: nobody knows
	keyFile string          // "": where it was created
	look    func() reading  // at the machine's clocks
}

// WithTraits gives what this machine is known by, in the same order each time.
// Open asks at most once, and only for a container that is bound to a machine.
func WithTraits(f func() [3]Trait) Option {
	return func(o *options) { o.traits = sync.OnceValue(f) }
}

// WithKeyFile names the key file of a container that is bound to one: where
// Create makes it, and for Open where it lies now. "" changes nothing.
func WithKeyFile(path string) Option {
	return func(o *options) { o.keyFile = path }
}

func optionsOf(all []Option) *options {
	o := &options{look: systemClock()}
	for _, set := range all {
		set(o)
	}
	return o
}

const (
	bindingTag     = "quorate-binding"
	bindingVersion = 1
	bindingKeySize = 32
	wrapSize       = bindingKeySize + 16
	mostPath       = 4096
	mostWraps      = 3
)

// pairs are the traits that open a container together.
func pairs() [3][2]int { return [3][2]int{{0, 1}, {0, 2}, {1, 2}} }

// binding is the record of what a container is bound to: its key, wrapped under
// each pair of traits, or under the key file's key.
type binding struct {
	kind  Bind
	salt  [32]byte
	wraps map[byte][wrapSize]byte // by number of the pair; 0 for a file
	file  string                  // the key file's path when it was created
}

// marshal gives the record's one encoding. Its checksum tells a damaged record
// from one of another machine, before the key is known that its MAC needs.
func (b binding) marshal() []byte {
	r := append([]byte(bindingTag), bindingVersion, byte(b.kind))
	r = append(r, b.salt[:]...)
	r = append(r, byte(len(b.wraps))) //nolint:gosec // G115: at most 3
	for i := range byte(mostWraps) {
		if w, ok := b.wraps[i]; ok {
			r = append(append(r, i), w[:]...)
		}
	}
	r = binary.BigEndian.AppendUint16(r, uint16(len(b.file))) //nolint:gosec // G115: at most mostPath
	r = append(r, b.file...)
	sum := sha256.Sum256(r)
	return append(r, sum[:]...)
}

func parseBinding(r []byte) (binding, bool) {
	const head = len(bindingTag) + 2 + 32 + 1
	b := binding{wraps: make(map[byte][wrapSize]byte)}
	if len(r) < head || len(r) > head+mostWraps*(1+wrapSize)+2+mostPath+sha256.Size || string(r[:len(bindingTag)]) != bindingTag || r[len(bindingTag)] != bindingVersion {
		return b, false
	}
	b.kind = Bind(r[len(bindingTag)+1])
	copy(b.salt[:], r[len(bindingTag)+2:])
	count, rest := int(r[head-1]), r[head:]
	for range count {
		if len(rest) < 1+wrapSize {
			return b, false
		}
		b.wraps[rest[0]] = [wrapSize]byte(rest[1:])
		rest = rest[1+wrapSize:]
	}
	if len(rest) < 2 || len(rest) < 2+int(binary.BigEndian.Uint16(rest)) {
		return b, false
	}
	b.file = string(rest[2 : 2+binary.BigEndian.Uint16(rest)])
	_, first := b.wraps[0]
	switch {
	case b.kind == BindMachine && len(b.wraps) > 0 && b.file == "":
	case b.kind == BindFile && len(b.wraps) == 1 && first && validPath(b.file):
	default:
		return b, false
	}
	return b, bytes.Equal(r, b.marshal()) // a repeated or unknown pair, another order, a wrong sum
}

// validPath says whether a path can be kept, and shown to people.
func validPath(p string) bool {
	return p != "" && len(p) <= mostPath && utf8.ValidString(p) && !strings.ContainsFunc(p, unicode.IsControl)
}

// lock is an opened binding. A nil one is that of a container without.
type lock struct {
	binding binding
	key     []byte
	block   cipher.Block // of the records
	changed []string     // the machine's traits that opened nothing
}

// Format keeps the key out of every log and error.
func (lock) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "container.lock(secret)") }

func newLock(b binding, key []byte) (*lock, error) {
	k, err := hkdf.Key(sha256.New, key, nil, bindingTag+"/records", 32)
	if err != nil {
		return nil, unavailable("the container's keys are not usable", err)
	}
	block, err := aes.NewCipher(k)
	if err != nil {
		return nil, unavailable("the container's keys are not usable", err)
	}
	return &lock{binding: b, key: key, block: block}, nil
}

// crypt seals a record's payload, or opens it: the keystream comes of its MAC,
// which is another one for each name and payload.
func (l *lock) crypt(name string, mac, payload []byte) []byte {
	if l == nil || name == recordHeader || name == recordBinding {
		return payload
	}
	out := make([]byte, len(payload))
	cipher.NewCTR(l.block, mac[:aes.BlockSize]).XORKeyStream(out, payload)
	return out
}

// same is for what has the container open: nobody else may bind it anew.
func (l *lock) same(b binding) (*lock, error) {
	if l == nil || !bytes.Equal(l.binding.marshal(), b.marshal()) {
		return nil, corrupt("its binding was altered")
	}
	return l, nil
}

// wrapper gives the cipher that wraps the key once: the salt is new each time.
func (b binding) wrapper(secret []byte, pair byte) (cipher.AEAD, error) {
	k, err := hkdf.Key(sha256.New, secret, b.salt[:], fmt.Sprintf("%s/%d/%d", bindingTag, b.kind, pair), 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(k)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func (b binding) wrap(key, secret []byte, pair byte) error {
	a, err := b.wrapper(secret, pair)
	if err == nil {
		b.wraps[pair] = [wrapSize]byte(a.Seal(nil, make([]byte, a.NonceSize()), key, nil))
	}
	return err
}

func (b binding) unwrap(secret []byte, pair byte) []byte {
	w, ok := b.wraps[pair]
	if !ok {
		return nil
	}
	a, err := b.wrapper(secret, pair)
	if err != nil {
		return nil
	}
	key, err := a.Open(nil, make([]byte, a.NonceSize()), w[:], nil)
	if err != nil {
		return nil
	}
	return key
}

// secretOf gives what a pair of traits makes; nil where one is absent.
func secretOf(traits [3]Trait, pair [2]int) []byte {
	var s []byte
	for _, i := range pair {
		v := traits[i].Value
		if v == "" {
			return nil
		}
		s = binary.BigEndian.AppendUint32(s, uint32(len(v))) //nolint:gosec // G115: short
		s = append(s, v...)
	}
	return s
}

// bindTo makes a binding of a key under fresh salt. secrets are by pair; nil
// ones are left out.
func bindTo(kind Bind, file string, key []byte, secrets ...[]byte) (*lock, error) {
	b := binding{kind: kind, file: file, wraps: make(map[byte][wrapSize]byte)}
	_, err := rand.Read(b.salt[:])
	for i, secret := range secrets {
		if secret != nil && err == nil {
			err = b.wrap(key, secret, byte(i)) //nolint:gosec // G115: at most 3
		}
	}
	if err != nil {
		return nil, unavailable("the container could not be bound", err)
	}
	return newLock(b, key)
}

func bindToTraits(key []byte, traits [3]Trait) (*lock, error) {
	var secrets [][]byte
	for _, p := range pairs() {
		secrets = append(secrets, secretOf(traits, p))
	}
	return bindTo(BindMachine, "", key, secrets...)
}

// bind makes the lock of a new container, and with it the key file. undo
// removes that again.
func (o *options) bind(to Bind, serial license.Serial) (l *lock, undo func(), err error) {
	undo = func() {}
	if to == BindNone {
		return nil, undo, nil
	}
	key := make([]byte, bindingKeySize)
	if _, err := rand.Read(key); err != nil {
		return nil, undo, unavailable("the container's keys could not be made", err)
	}
	if to == BindFile {
		return o.bindToFile(key, serial)
	}
	if o.traits == nil {
		return nil, undo, noTraits()
	}
	traits := o.traits()
	if there, _ := names(traits); len(there) < 2 {
		return nil, undo, license.Errorf(license.CodeInvalidInput, "run it as root, bind the container to a key file with --bind file:PATH, or to nothing with --bind none",
			"this machine is known by %s alone, and two traits of three are needed to bind a container to it", orNothing(there))
	}
	l, err = bindToTraits(key, traits)
	return l, undo, err
}

// names gives the traits that are there, and those that are absent.
func names(traits [3]Trait) (there, absent []string) {
	for _, t := range traits {
		if t.Value == "" {
			absent = append(absent, t.Name)
		} else {
			there = append(there, t.Name)
		}
	}
	return there, absent
}

func orNothing(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return "its " + strings.Join(names, " and ")
}

// unlock opens a binding with what is here. Error: license.CodeContainerForeign.
func (o *options) unlock(b binding) (*lock, error) {
	if b.kind == BindFile {
		return o.unlockWithFile(b)
	}
	if o.traits == nil {
		return nil, noTraits()
	}
	traits := o.traits()
	var key []byte
	var good [3]bool
	for i, p := range pairs() {
		secret := secretOf(traits, p)
		if secret == nil {
			continue
		}
		if k := b.unwrap(secret, byte(i)); k != nil { //nolint:gosec // G115: at most 3
			key, good[p[0]], good[p[1]] = k, true, true
		}
	}
	if key == nil {
		return nil, foreign(traits)
	}
	l, err := newLock(b, key)
	for i, t := range traits {
		if err == nil && t.Value != "" && !good[i] {
			l.changed = append(l.changed, t.Name)
		}
	}
	return l, err
}

func noTraits() error {
	return license.Errorf(license.CodeInvalidInput, "tell what this machine is known by", "the container is bound to a machine, and it is not known which one this is")
}

func foreign(traits [3]Trait) error {
	there, absent := names(traits)
	hint := ""
	if len(absent) > 0 {
		hint = fmt.Sprintf(" (this user can't read its %s)", strings.Join(absent, " and "))
	}
	if len(there) < 2 {
		return license.Errorf(license.CodeContainerForeign, "run it as the user who created the container, or as root",
			"the container is bound to a machine, and this one is known by %s alone%s", orNothing(there), hint)
	}
	return license.Errorf(license.CodeContainerForeign, "open it on the machine that it was created on and return its licenses there, or have the vendor re-host them on a new container",
		"the container is bound to another machine%s", hint)
}

// rebind binds the container to the machine as it is now, if one of its traits
// has changed or come. It is for Open.
func (c *Container) rebind(o *options) error {
	was := c.current().lock
	if was == nil || len(was.changed) == 0 {
		return nil
	}
	l, err := bindToTraits(was.key, o.traits())
	if err != nil {
		return err
	}
	c.write.Lock()
	defer c.write.Unlock()
	err = c.change(func(s *state) (*state, error) {
		next := s.clone()
		next.lock = l
		return next, nil
	})
	if err != nil {
		return err
	}
	c.unlock, c.rebound = l.same, was.changed
	return nil
}

// Rebound names the traits of the machine in which it is no longer what the
// container was bound to. Open has bound it anew, to the machine as it is now.
func (c *Container) Rebound() []string { return c.rebound }

// Bound tells what the container is bound to, and for BindFile where the key
// file was when it was created.
func (c *Container) Bound() (to Bind, keyFile string) {
	l := c.current().lock
	if l == nil {
		return BindNone, ""
	}
	return l.binding.kind, l.binding.file
}

// bindable says whether a container of this kind may be bound so.
func bindable(s license.Serial, to Bind, keyFile string) error {
	switch kind := s.Kind(); {
	case to > BindFile:
		return license.Errorf(license.CodeInvalidInput, "bind it to the machine, to a key file or to nothing", "%d is nothing that a container can be bound to", to)
	case kind == license.KindDongle && to != BindFile:
		return license.Errorf(license.CodeInvalidInput, "name the file, best on a medium that can be taken away: --bind file:PATH",
			"%s stands in for a dongle: it has to be bound to a key file", s)
	case kind == license.KindCloud && to != BindNone:
		return license.Errorf(license.CodeInvalidInput, "leave --bind out, or create another kind of container", "%s is a cloud container, which is bound to nothing", s)
	case to == BindFile && !validPath(keyFile):
		return license.Errorf(license.CodeInvalidInput, "name it with --bind file:PATH", "there is no usable name for the key file")
	}
	return nil
}
