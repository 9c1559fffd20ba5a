/** A text without the secrets that got into it by mistake: our own, signed tokens, and passwords in addresses. */
export function withoutSecrets(text: string): string {
  return text
    .replaceAll(/slw_([prs])_([a-z2-7]{10})_[0-9A-Za-z]+/g, 'slw_$1_$2_…')
    .replaceAll(/eyJ[\w-]+(?:\.[\w-]*)*/g, '(token)')
    .replaceAll(/(\/\/[^/\s:@]*):[^/\s@]*@/g, '$1:…@')
}
