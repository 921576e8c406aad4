package station

import (
	"os"
	"strconv"
	"syscall"
	"unsafe"
)

// systemSession asks Windows: SESSIONNAME tells the same, but changes when a
// remote user connects anew, which the programs that run already don't learn.
func systemSession() string {
	var id uint32
	ok, _, _ := syscall.NewLazyDLL("kernel32.dll").NewProc("ProcessIdToSessionId").Call(uintptr(os.Getpid()), uintptr(unsafe.Pointer(&id)))
	if ok == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(id), 10)
}
