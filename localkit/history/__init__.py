"""What was said and answered, kept between kernels: conversations, answers, ratings."""
