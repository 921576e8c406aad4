package platform

// CheapKeyFiles makes exporting quick; what is written is otherwise the same.
func (p *Platform) CheapKeyFiles() { p.keyFileWork = 4 }
