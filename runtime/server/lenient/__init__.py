"""What clients send that is nearly what a field takes, taken for that: one policy, in every dialect.

- null is absent, wherever null is no value: a field, an entry of a list or of an object.
- A float that is whole is an integer where one is needed: JavaScript, Lua and Go's `any` have no other numbers.
- `[]` is an empty object where one is needed: PHP has one literal for both.
- A number in a string is the number, in structures that say so (`NumbersInText`).
- Half of a surrogate pair is U+FFFD: what a text becomes that was cut between two UTF-16 units. A byte order mark
  before the body is passed over.
- A word for an effort that nobody knows is the nearest one that templates know.

What is of another type than that is refused, with the field's name. Unknown fields are nobody's (msgspec ignores them).
efforts → words for how much to think   numbers → who takes numbers in text   bodies → all the rest, by a body's type
"""
