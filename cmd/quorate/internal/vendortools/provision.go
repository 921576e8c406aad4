package vendortools

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/cmd/quorate/internal/filetools"
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/catalog"
	"github.com/quorate/quorate/internal/platform/provision"
)

// Provision registers what a file specifies, at the platform's database.
type Provision struct {
	cli.DatabaseFlags
	File  string `arg:"" help:"The specification, JSON; - for standard input."`
	Token string `help:"An API token of the vendor's owner or an administrator." required:"" env:"QUORATE_TOKEN"`
	JSON  bool   `help:"Write JSON." name:"json"`
}

// Help has the examples.
func (Provision) Help() string {
	return `Runs at the platform, on its database. What is there already stays as it is.
Link tokens of new TMR servers are printed this once.

Example:
  quorate provision group.json

with group.json (fingerprint files as quorate container create wrote them, or request
files of one container each, relative to the specification; the token key as quorate key token prints it):
  {
    "customer": "Acme Motors",
    "firm":    {"code": 6000010, "name": "Example Vendor"},
    "product": {"code": 14, "name": "Chart Processing"},
    "item":    {"name": "Chart Processing, 20 users", "quantity": 20, "featureMap": 1},
    "group":   {"name": "TMR Production", "virtual": "131-4837572", "firstTmrId": 1, "tokenKey": "…",
                "fingerprints": ["one.lreq", "two.lreq", "three.lreq"],
                "servers": [{"name": "tmr-a", "address": "10.0.0.11"}, {"name": "tmr-b", "address": "10.0.0.12"}]}
  }

The item may have every option, as of quorate item create --help:
  "item": {"name": "Chart Processing, 2027", "quantity": 20, "featureMap": 1, "activation": "2026-12-01",
           "expiration": "2027-12-01T08:00:00Z", "units": 500, "maintenance": {"from": "2026-01-01", "until": "2026-12-31"},
           "minimumVersion": "10.4", "text": "for ships", "accessList": ["user:anna", "!subnet:10.9.0.0/16"],
           "linger": "90s", "protectedData": "settings.bin", "secretData": "seed.key"}`
}

type provisionFile struct {
	Customer string `json:"customer"`
	Firm     struct {
		Code license.FirmCode `json:"code"`
		Name string           `json:"name"`
	} `json:"firm"`
	Product struct {
		Code license.ProductCode `json:"code"`
		Name string              `json:"name"`
	} `json:"product"`
	Item  provisionItem `json:"item"`
	Group struct {
		Name         string                   `json:"name"`
		Virtual      string                   `json:"virtual"`
		FirstTMRID   uint32                   `json:"firstTmrId"`
		TokenKey     []byte                   `json:"tokenKey"`
		Fingerprints [license.Backends]string `json:"fingerprints"`
		Servers      []struct {
			Name    string `json:"name"`
			Address string `json:"address"`
		} `json:"servers"`
	} `json:"group"`
}

const mostSpecification = 1 << 20

// Run registers it.
func (c *Provision) Run(ctx context.Context, std cli.Streams, logger *slog.Logger, open Opener) error {
	spec, err := c.read(std.In)
	if err != nil {
		return err
	}
	p, closing, err := open(ctx, c.DatabaseFlags, logger)
	if err != nil {
		return err
	}
	defer closing()
	who, err := p.Authenticate(ctx, c.Token)
	if err != nil {
		return err
	}
	made, err := p.Provision(auth.With(ctx, who), spec)
	if err != nil {
		return err
	}
	type server struct {
		Name      string `json:"name"`
		LinkToken string `json:"linkToken,omitempty"`
	}
	result := struct {
		Item    string   `json:"item"`
		Group   string   `json:"tmrGroup"`
		Servers []server `json:"servers"`
	}{Item: made.Item.ID, Group: made.Group.ID}
	for _, s := range made.Servers {
		result.Servers = append(result.Servers, server{s.Server.Name, s.Token})
	}
	if c.JSON {
		return cli.WriteJSON(std.Out, result)
	}
	fmt.Fprintf(std.Out, "item       %s\nTMR group  %s\n", result.Item, result.Group)
	for _, s := range result.Servers {
		token := s.LinkToken
		if token == "" {
			token = "has its link token already"
		}
		fmt.Fprintf(std.Out, "%-10s %s\n", s.Name, token)
	}
	return nil
}

func (c *Provision) read(in io.Reader) (spec provision.ProvisionSpec, err error) {
	dir := "."
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return spec, &license.Error{Code: license.CodeNotFound, Message: fmt.Sprintf("the specification %s can't be read", c.File), Fix: "see quorate provision --help for an example", Err: err}
		}
		defer f.Close()
		in, dir = f, filepath.Dir(c.File)
	}
	raw, err := io.ReadAll(io.LimitReader(in, mostSpecification))
	if err != nil {
		return spec, err
	}
	var file provisionFile
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		return spec, license.Errorf(license.CodeInvalidInput, "see quorate provision --help for an example", "the specification can't be read: %v", err)
	}
	spec = provision.ProvisionSpec{
		Customer: file.Customer,
		Firm:     catalog.FirmSpec{Code: file.Firm.Code, Name: file.Firm.Name},
		Product:  catalog.ProductSpec{Code: file.Product.Code, Name: file.Product.Name},
		Group:    provision.GroupSpec{Name: file.Group.Name, FirstTMRID: file.Group.FirstTMRID, TokenKey: file.Group.TokenKey},
	}
	if spec.Item, err = file.Item.spec(dir); err != nil {
		return spec, err
	}
	if spec.Group.Virtual, err = license.ParseSerial(file.Group.Virtual); err != nil {
		return spec, err
	}
	for i, name := range file.Group.Fingerprints {
		if spec.Group.Fingerprints[i], err = readFingerprint(dir, name); err != nil {
			return spec, err
		}
	}
	for _, s := range file.Group.Servers {
		spec.Group.Servers = append(spec.Group.Servers, provision.ServerSpec{Name: s.Name, Address: s.Address})
	}
	return spec, nil
}

// readFingerprint takes both forms: that of container create, and a request file.
func readFingerprint(dir, name string) ([]byte, error) {
	if !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	f, err := filetools.ReadArmored(nil, name)
	switch {
	case license.CodeOf(err) == license.CodeFormatUnknown:
		return nil, license.Errorf(license.CodeFormatUnknown, "name the file that quorate container create wrote", "%s is not a fingerprint", name)
	case err != nil:
		return nil, err
	case f.Kind != armor.Request || len(f.Messages) != 1:
		return nil, license.Errorf(license.CodeInvalidInput, "name the file that quorate container create wrote, or quorate request --container",
			"%s is not the request of one container", name)
	}
	return f.Messages[0], nil
}
