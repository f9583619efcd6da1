"""What the pages of scanners say of one: what is wrong with it, and which of them somebody asks for."""
