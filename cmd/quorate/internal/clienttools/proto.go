package clienttools

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc/proto"
)

// Proto writes the protocol of programs.
type Proto struct {
	Out string `help:"The folder to write quorate/v1/license.proto below; without it, standard output." placeholder:"DIR"`
}

// Help has the examples.
func (Proto) Help() string {
	return `Writes the protocol between programs and license servers, for clients in languages
without an SDK: Connect, gRPC and gRPC-Web, or plain HTTP with protobuf or JSON.

Examples:
  quorate proto > license.proto
  quorate proto --out protocol && protoc --proto_path=protocol --python_out=. quorate/v1/license.proto`
}

// Run writes it.
func (c *Proto) Run(std cli.Streams) error {
	if c.Out == "" {
		_, err := std.Out.Write(proto.License)
		return err
	}
	file := filepath.Join(c.Out, filepath.FromSlash(proto.LicenseFile))
	err := os.MkdirAll(filepath.Dir(file), 0o755)
	if err == nil {
		err = os.WriteFile(file, proto.License, 0o644) //nolint:gosec // G306: it is published
	}
	if err != nil {
		return &license.Error{Code: license.CodeUnavailable, Message: fmt.Sprintf("%s can't be written: %v", file, cli.Cause(err)), Fix: "name a folder that you may write to", Err: err}
	}
	_, err = fmt.Fprintln(std.Out, file)
	return err
}
