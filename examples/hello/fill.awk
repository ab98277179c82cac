# Copies a page, with {{ref}} and {{sha}} replaced by what is deployed.

# html returns s as text that HTML cannot take for markup, in an element or in
# a quoted attribute: a branch may be called <script>.
function html(s) {
	gsub(/&/, "\\&amp;", s)
	gsub(/</, "\\&lt;", s)
	gsub(/>/, "\\&gt;", s)
	gsub(/"/, "\\&quot;", s)
	gsub(/'/, "\\&#39;", s)
	return s
}

# fill replaces each key in line by value, byte for byte. gsub would give "&"
# and "\" in the value a meaning.
function fill(line, key, value,    at, done) {
	while (at = index(line, key)) {
		done = done substr(line, 1, at - 1) value
		line = substr(line, at + length(key))
	}
	return done line
}

BEGIN {
	sha = html(ENVIRON["REVIEW_SHA"])
	ref = html(ENVIRON["REVIEW_REF"])
}

{ print fill(fill($0, "{{sha}}", sha), "{{ref}}", ref) }
