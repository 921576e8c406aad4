package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
)

// program calls a license server over one HTTP/1.1 connection with as little
// work as can be: programs run elsewhere, and here they share the processors
// with the server. It is to a server what redis-benchmark is to Redis.
type program struct {
	host string
	conn net.Conn
	in   *bufio.Reader
	out  []byte
	body []byte
}

func newProgram(b *testing.B, server string) *program {
	b.Helper()
	p := &program{host: strings.TrimPrefix(server, "http://")}
	var err error
	if p.conn, err = net.Dial("tcp", p.host); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = p.conn.Close() })
	p.in = bufio.NewReader(p.conn)
	return p
}

// call makes a unary call of the Connect protocol.
func (p *program) call(procedure string, req, res proto.Message) error {
	body, err := proto.Marshal(req)
	if err != nil {
		return err
	}
	p.out = fmt.Appendf(p.out[:0], "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/proto\r\nConnect-Protocol-Version: 1\r\nContent-Length: %d\r\n\r\n%s",
		procedure, p.host, len(body), body)
	if err := p.conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := p.conn.Write(p.out); err != nil {
		return err
	}
	status, err := p.in.ReadString('\n')
	if err != nil {
		return err
	}
	size := -1
	for {
		line, err := p.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			break
		}
		if name, value, _ := bytes.Cut(line, []byte(": ")); bytes.EqualFold(name, []byte("Content-Length")) {
			if size, err = strconv.Atoi(string(value)); err != nil {
				return err
			}
		}
	}
	if size < 0 {
		return errors.New("an answer without a length")
	}
	p.body = append(p.body[:0], make([]byte, size)...)
	if _, err := io.ReadFull(p.in, p.body); err != nil {
		return err
	}
	if !strings.HasPrefix(status, "HTTP/1.1 200") {
		return fmt.Errorf("%s: %s", strings.TrimSpace(status), p.body)
	}
	return proto.Unmarshal(p.body, res)
}

// programWorkers are n programs of a license server, each with a connection of
// its own.
func programWorkers(b *testing.B, server string, n int) []worker {
	b.Helper()
	all := make([]worker, n)
	for w := range all {
		p := newProgram(b, server)
		user := fmt.Sprintf("bench-%d", w)
		var tokens [round][]byte
		all[w] = func(op, i int) error {
			switch op {
			case opAccess:
				var res quoratev1.AccessResponse
				err := p.call(quoratev1connect.LicenseServiceAccessProcedure, accessRequest(user), &res)
				tokens[i] = res.GetHandle().GetToken()
				return err
			case opRenew:
				var res quoratev1.RenewResponse
				err := p.call(quoratev1connect.LicenseServiceRenewProcedure, &quoratev1.RenewRequest{Token: tokens[i]}, &res)
				tokens[i] = res.GetHandle().GetToken()
				return err
			}
			return p.call(quoratev1connect.LicenseServiceReleaseProcedure, &quoratev1.ReleaseRequest{Token: tokens[i]}, &quoratev1.ReleaseResponse{})
		}
	}
	return all
}

// processor is the processor time that a process has had.
func processor(b *testing.B, pid int) time.Duration {
	b.Helper()
	if pid == os.Getpid() {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
