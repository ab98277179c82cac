package main

// lifecycle measures what ends apps: webhooks.
func (b *bench) lifecycle() []figure {
	return b.webhooks()
}
