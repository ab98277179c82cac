from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.forms import ModelForm, TextInput
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from .models import Entry


class EntryForm(ModelForm):
    class Meta:
        model = Entry
        fields = ["message"]
        widgets = {"message": TextInput}


@require_http_methods(["GET", "HEAD", "POST"])
def entries(request):
    """Show the latest entries to everyone; take new ones from who is logged in."""
    if request.method == "POST" and not request.user.is_authenticated:
        return redirect_to_login(request.path)

    form = EntryForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        form.instance.author = request.user
        form.save()
        return redirect("entries")

    latest = Entry.objects.select_related("author")[:50]
    return render(request, "entries.html", {"form": form, "entries": latest})


@require_safe
def healthz(request):
    """Answer 200 once the database is there and migrated."""
    Entry.objects.exists()
    return HttpResponse("ok\n", content_type="text/plain")


def version(request):
    """Context processor: every page's footer names the commit it comes from."""
    return {"review_ref": settings.REVIEW_REF, "review_sha": settings.REVIEW_SHA}
