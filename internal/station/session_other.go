//go:build !windows

package station

func systemSession() string { return "" }
