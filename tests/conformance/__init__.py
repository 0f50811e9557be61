"""Which engine computes a recurrent node right: cases with known answers, engines apart, and what they
say."""
