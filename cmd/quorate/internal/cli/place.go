package cli

import (
	"strings"

	"github.com/quorate/quorate/internal/license"
)

// PlaceInput names a TMR group or a container to the platform, whichever an id or
// a serial number stands for.
func PlaceInput(idOrSerial string) map[string]any {
	serial, err := license.ParseSerial(idOrSerial)
	if strings.HasPrefix(idOrSerial, "con_") || (err == nil && serial.Kind() != license.KindVirtual) {
		return map[string]any{"container": idOrSerial}
	}
	return map[string]any{"tmrGroup": idOrSerial}
}
