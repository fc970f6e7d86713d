package conformance

const cancelledWait = "+250ms S>ok b:S b? waiting=1 b^ b>canceled took=0s waiting=0 after=250ms +250ms S>ok execs=2"

// whileOneWaits raises the limit: the running period gets no more permits.
func whileOneWaits(s *session, _ string) {
	s.play("+250ms S>ok +100ms b:S waiting=1")
	if err := s.override("conformance.R4J43: {rateLimit: {limit: 2}}"); err != nil {
		s.t.Fatal(err)
	}
	s.play("b? +150ms b>ok took=150ms S>ok S>limited took=0s execs=3")
}

var rateLimitCases = family{
	"R4J-38": play(NewResilientR4J38, "+250ms S>ok S>limited took=0s after=250ms +250ms S>ok S>limited execs=2 rejections=2"),
	"R4J-39": play(NewResilientR4J39, "+250ms S>ok b:S b? waiting=1 after=500ms +250ms b>ok took=250ms"),
	"R4J-40": play(NewResilientR4J40, "+250ms S>ok b:S c:S waiting=2 +250ms b>ok took=250ms c>limited took=250ms +1s S>ok after=250ms"),
	"R4J-41": play(NewResilientR4J41, "+250ms S>ok took=500ms"),
	"R4J-42": all(
		play(NewResilientR4J42Token, cancelledWait),
		play(NewResilientR4J42Smooth, cancelledWait),
		play(NewResilientR4J42Fixed, cancelledWait),
		play(NewResilientR4J42Rolling, cancelledWait)),
	"R4J-43": with(NewResilientR4J43, whileOneWaits, ""),
}
