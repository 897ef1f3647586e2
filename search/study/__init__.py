"""What a study is: its definition, the space it searches, and the data that its task may see."""
