package auth

// RoleCapabilities are all that a role brings.
func RoleCapabilities(r Role) []Capability { return capabilities(r) }
