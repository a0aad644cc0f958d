"""What a person does on the page and sees there. It is a package so that its lab ends with the last of these tests."""
