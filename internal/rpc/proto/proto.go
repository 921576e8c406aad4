// Package proto is the protocol of programs as it is published: for clients in
// languages that have no SDK.
package proto

import _ "embed"

// LicenseFile is where the file lies below a folder of protocols.
const LicenseFile = "quorate/v1/license.proto"

// License is the protocol between programs and license servers.
//
//go:embed quorate/v1/license.proto
var License []byte
