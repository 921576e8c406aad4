// Package source gives license servers the licenses that they hand out: those of
// one container, or those in force of a TMR group.
package source

import (
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver"
)

func noLicense(p license.Product, serial license.Serial) error {
	return license.Errorf(license.CodeNoLicense,
		"check the product code (`quorate ls` shows what this server has), or order the license from the vendor",
		"there is no license for %s in container %s", p, serial)
}

func noData(p license.Product, kind string) error {
	return license.Errorf(license.CodeNotFound, "have the vendor put it into the license", "the license for %s has no %s data", p, kind)
}

// named reads data that goes by a name. An update between the look at the name
// and the reading makes it look once more.
func named(find func() (license.DataName, error), read func(license.DataName) ([]byte, error)) ([]byte, error) {
	name, err := find()
	if err != nil {
		return nil, err
	}
	data, err := read(name)
	if err == nil {
		return data, nil
	}
	now, again := find()
	if again != nil || now == name {
		return nil, err
	}
	return read(now)
}

func protectedName(s licenseserver.Source, p license.Product) func() (license.DataName, error) {
	return func() (license.DataName, error) {
		f, err := s.Find(p)
		if err == nil && f.Options.Protected == (license.DataName{}) {
			err = noData(p, "protected")
		}
		return f.Options.Protected, err
	}
}

func secretName(s licenseserver.Source, p license.Product) func() (license.DataName, error) {
	return func() (license.DataName, error) {
		f, err := s.Find(p)
		if err == nil && f.Options.Secret == (license.DataName{}) {
			err = noData(p, "secret")
		}
		return f.Options.Secret, err
	}
}
