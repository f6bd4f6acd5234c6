// The first few items of a list as text, for short messages.

/** a, b, c and 4 more */
export function firstFew(items: readonly string[], most = 4): string {
  const rest = items.length - most
  return rest > 0 ? `${items.slice(0, most).join(', ')} and ${rest} more` : items.join(', ')
}
