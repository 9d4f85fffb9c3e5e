"""What several test files share: namespaces, traffic, and both conntrack tools."""
